#include "sidecar/mesh/leg_table.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "sidecar/packet/fold_product.h"

namespace sidetap::mesh {
namespace {

using capture::Depth;
using capture::PacketView;

constexpr auto kTcp = static_cast<std::uint8_t>(capture::IpProtocol::kTcp);
constexpr std::size_t kMostHead = 4096;  // bytes of a request that are searched

bool is_tcp(const PacketView& view) {
  return view.depth == Depth::kTransport && view.protocol == kTcp && !view.fragment;
}

bool opens_connection(const PacketView& view) {
  return (view.tcp_flags & (capture::kTcpSyn | capture::kTcpAck)) == capture::kTcpSyn;
}

std::size_t half_at(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<std::size_t>(bytes[at]) << 8 | std::to_integer<std::size_t>(bytes[at + 1]);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool has_ignoring_case(std::string_view text, std::string_view wanted) {
  return std::search(text.begin(), text.end(), wanted.begin(), wanted.end(),
                     [](char a, char b) { return lower(a) == b; }) != text.end();
}

/// A request of the kubelet or of Prometheus that Istio's agent hands on, the latter to merge the
/// application's metrics with its own. The proxy hands on requests too, but adds headers of its
/// own.
bool is_of_agent(std::span<const std::byte> payload) {
  const std::string_view whole(reinterpret_cast<const char*>(payload.data()),
                               std::min(payload.size(), kMostHead));
  const std::string_view head = whole.substr(0, whole.find("\r\n\r\n"));
  const bool asked = has_ignoring_case(head, "\r\nuser-agent: kube-probe/") ||
                     has_ignoring_case(head, "\r\nx-prometheus-scrape-timeout-seconds:");
  return asked && !has_ignoring_case(head, "\r\nx-request-id:") &&
         !has_ignoring_case(head, "\r\nx-envoy-");
}

}  // namespace

std::size_t LegKeyHash::operator()(const LegKey& key) const noexcept {
  const std::uint64_t ports = std::uint64_t{key.client_port} << 16 | key.server_port;
  std::uint64_t h = fold_product(key.client.low() ^ seed, key.server.low() ^ std::rotl(seed, 32));
  h = fold_product(h ^ ports, std::rotl(seed, 17) ^ 0xff51afd7ed558ccdULL);
  if (!key.client.is_v4())
    h = fold_product(h ^ key.client.high(), key.server.high() ^ std::rotl(seed, 48));
  return static_cast<std::size_t>(h);
}

TcpPayload tcp_payload(const PacketView& view) {
  if (!is_tcp(view)) return {};
  const auto bytes = view.bytes;
  const std::size_t transport = view.transport_offset;
  if (bytes.size() < transport + 20) return {};
  const std::size_t header = (std::to_integer<std::size_t>(bytes[transport + 12]) >> 4) * 4;
  if (header < 20) return {};
  const std::size_t begin = transport + header;
  const bool v6 = std::to_integer<unsigned>(bytes[view.network_offset]) >> 4 == 6;
  const std::size_t length = half_at(bytes, std::size_t{view.network_offset} + (v6 ? 4 : 2));
  // BIG TCP has no length in its header; padding of short frames counts for nothing.
  const std::size_t end = length == 0 ? bytes.size() : view.network_offset + (v6 ? 40 : 0) + length;
  if (begin >= end || begin > bytes.size()) return {};
  return {bytes.subspan(begin, std::min(end, bytes.size()) - begin), end - begin};
}

bool is_stand_in(net::IpAddress address) {
  return address == net::IpAddress::v4(0x7f000006) || address == net::IpAddress::v6(0, 6);
}

bool LegTable::is_local(net::IpAddress address) const {
  return address.is_loopback() || std::find(self_.begin(), self_.end(), address) != self_.end();
}

bool LegTable::may_be_leg(const LegKey& key) const {
  return mesh_.is_application_port(key.server_port) && is_local(key.server);
}

bool LegTable::is_opened_by_proxy(const LegKey& key, bool opens) {
  // Nobody else has a reason to bind it, and a socket that is closed already has no user.
  if (is_stand_in(key.client)) return true;
  // A transparent socket: to bind a foreign address takes a right that the application has not. In
  // the middle of a connection it could be the reply of somebody outside to the application, whose
  // address the kernel has translated back.
  if (opens && !is_local(key.client)) return true;
  const auto owner = owners_.owner_of({key.client, key.client_port, key.server, key.server_port});
  if (!is_local(key.client)) return owner.has_value();
  return owner && mesh_.is_proxy_user(*owner);
}

LegTable::State LegTable::first_state(const LegKey& key, bool opens) {
  if (!may_be_leg(key) || !is_opened_by_proxy(key, opens)) return State::kOther;
  // Istio's agent opens connections for probes, from the proxy's address and as its user.
  const bool agent =
      mesh_.kind == Kind::kIstio && (is_local(key.client) || is_stand_in(key.client));
  return agent && opens ? State::kWaiting : State::kLeg;
}

void LegTable::meet(const PacketView& view) {
  if (!is_tcp(view) || !opens_connection(view)) return;
  if (may_be_leg({view.source, view.destination, view.source_port, view.destination_port}))
    (void)judge(view);
}

LegJudgement LegTable::judge(const PacketView& view) {
  if (!is_tcp(view)) return {};
  const bool opens = opens_connection(view);
  const LegKey there{view.source, view.destination, view.source_port, view.destination_port};
  const LegKey back{view.destination, view.source, view.destination_port, view.source_port};
  auto found = flows_.find(there);
  bool to_server = true;
  if (found == flows_.end() && !opens) {
    found = flows_.find(back);
    to_server = found == flows_.end();
    // Seen first in the middle: the end that listens is the server.
    if (to_server && !may_be_leg(there)) to_server = false;
  }
  if (found == flows_.end() || opens) {
    // A second SYN of the same opening changes nothing.
    const bool repeated = found != flows_.end() && !found->second.closed && !found->second.goes_on;
    if (!repeated) {
      const LegKey& key = to_server ? there : back;
      const State state = first_state(key, opens);
      make_room();
      found = flows_.insert_or_assign(key, Flow{.state = state}).first;
    }
  }
  Flow& flow = found->second;
  flow.goes_on = flow.goes_on || (view.tcp_flags & capture::kTcpSyn) == 0;
  LegJudgement judgement;
  judgement.key = found->first;
  const TcpPayload payload = tcp_payload(view);
  judgement.request = to_server && payload.size != 0;
  if (flow.state == State::kWaiting && payload.size != 0)
    flow.state = to_server && is_of_agent(payload.bytes) ? State::kOther : State::kLeg;
  if ((view.tcp_flags & capture::kTcpFin) != 0)
    (to_server ? flow.fin_from_client : flow.fin_from_server) = true;
  flow.closed = flow.closed || (view.tcp_flags & capture::kTcpRst) != 0 ||
                (flow.fin_from_client && flow.fin_from_server);
  // Opened and closed without a byte: a probe of the port.
  if (flow.state == State::kWaiting && (flow.closed || flow.fin_from_client))
    flow.state = State::kOther;
  switch (flow.state) {
    case State::kWaiting:
      judgement.kind = LegJudgement::Kind::kWait;
      break;
    case State::kLeg:
      judgement.kind = LegJudgement::Kind::kLeg;
      break;
    case State::kOther:
      judgement.kind = LegJudgement::Kind::kOther;
      break;
  }
  return judgement;
}

bool LegTable::settle(const LegKey& key) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) return false;
  if (found->second.state == State::kWaiting) found->second.state = State::kLeg;
  return found->second.state == State::kLeg;
}

void LegTable::make_room() {
  if (flows_.size() < kMostFlows) return;
  std::erase_if(flows_, [](const auto& each) { return each.second.closed; });
  // Those that go on are judged again, by the sockets that they still have. With hardly any room,
  // each new connection would look at all.
  if (flows_.size() > kMostFlows / 4 * 3) flows_.clear();
}

}  // namespace sidetap::mesh
