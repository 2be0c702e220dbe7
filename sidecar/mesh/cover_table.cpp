#include "sidecar/mesh/cover_table.h"

#include <algorithm>

namespace sidetap::mesh {
namespace {

// An alert by which a server refuses a client has less, what it sends after a handshake has more.
constexpr std::size_t kMostOfAnAlert = 40;
// When the table is full. With hardly any room behind it, each new connection would look at all.
constexpr std::size_t kMostKeptFlows = CoverTable::kMostFlows / 4 * 3;
// Released without any request to the application: it will have none.
constexpr std::uint32_t kEnoughReleased = 256;

constexpr std::byte kTlsHandshakeRecord{0x16};
constexpr std::byte kTlsDataRecord{0x17};
constexpr std::byte kTlsMajorVersion{3};

bool is_record(const TcpPayload& payload, std::byte type) {
  return payload.bytes.size() >= 2 && payload.bytes[0] == type &&
         payload.bytes[1] == kTlsMajorVersion;
}

/// The node's address under which Istio lets the kubelet's probes pass the proxy.
constexpr net::IpAddress kAmbientProbes = net::IpAddress::v4(0xa9fe077f);

}  // namespace

void CoverTable::note_request(std::uint16_t port, std::int64_t time) {
  std::int64_t& last = requests_[port];
  last = std::max(last, time);
  last_request_ = std::max(last_request_, time);
}

bool CoverTable::is_taken_over(std::uint16_t port) const {
  return mesh_.is_tunnel(port) || mesh_.is_application_port(port);
}

bool CoverTable::is_self(net::IpAddress address) const {
  return std::find(self_.begin(), self_.end(), address) != self_.end();
}

bool CoverTable::has_request(const LegKey& key, const Flow& flow) const {
  if (flow.asked == 0) return false;
  if (mesh_.is_tunnel(key.server_port)) return last_request_ >= flow.asked;
  const auto found = requests_.find(key.server_port);
  return found != requests_.end() && found->second >= flow.asked;
}

/// Behind a redirection, the proxy's socket has a port of the proxy; a transparent one has the
/// port that the client has named. Each question is a system call, so not all ports are tried: a
/// proxy may listen on thousands.
bool CoverTable::is_proxys(const LegKey& key) {
  for (const std::uint16_t port : mesh_.inbound) {
    if (owners_.has_socket({key.server, port, key.client, key.client_port})) return true;
  }
  const auto owner = owners_.owner_of({key.server, key.server_port, key.client, key.client_port});
  return owner && mesh_.is_proxy_user(*owner);
}

CoverTable::Flow& CoverTable::obtain(const LegKey& key, bool opens) {
  if (flows_.size() >= kMostFlows) {
    std::erase_if(flows_, [](const auto& each) { return each.second.held == 0; });
    if (flows_.size() > kMostKeptFlows) flows_.clear();
  }
  Flow& flow = flows_[key];
  if (opens && (flow.closed || flow.client_spoke)) flow = Flow{.held = flow.held};
  return flow;
}

void CoverTable::note_client(const LegKey& key, Flow& flow, const TcpPayload& payload,
                             std::int64_t time) {
  const bool first = !std::exchange(flow.client_spoke, true);
  if (first) {
    const bool midway = is_record(payload, kTlsDataRecord);
    flow.tls = midway || is_record(payload, kTlsHandshakeRecord);
    if (midway) {
      flow.asked = time;
    } else if (!flow.tls) {
      if (is_proxys(key)) {
        flow.asked = time;
      } else {
        flow.visible = true;
      }
    }
  } else if (flow.tls && flow.server_spoke && flow.asked == 0) {
    flow.asked = time;
  }
}

void CoverTable::note_end(const capture::PacketView& view, Flow& flow, bool to_server) {
  const bool reset = (view.tcp_flags & capture::kTcpRst) != 0;
  const bool ends = (view.tcp_flags & capture::kTcpFin) != 0;
  if (!reset && !ends) return;
  flow.closed = true;
  // A server that refuses the client's certificate, while others have requests.
  const bool by_server = !to_server || reset;
  if (by_server && !flow.covered && flow.tls && flow.answered <= kMostOfAnAlert)
    flow.visible = true;
}

CoverTable::Judgement CoverTable::judge(const capture::PacketView& view, std::int64_t time) {
  constexpr auto kTcpProtocol = static_cast<std::uint8_t>(capture::IpProtocol::kTcp);
  if (view.depth != capture::Depth::kTransport || view.protocol != kTcpProtocol || view.fragment ||
      mesh_.kind == Kind::kNone)
    return {};
  const bool to_server = is_self(view.destination) && is_taken_over(view.destination_port);
  if (!to_server && !(is_self(view.source) && is_taken_over(view.source_port))) return {};
  const LegKey key =
      to_server ? LegKey{view.source, view.destination, view.source_port, view.destination_port}
                : LegKey{view.destination, view.source, view.destination_port, view.source_port};
  if (key.client == kAmbientProbes) return {};
  const bool opens = (view.tcp_flags & (capture::kTcpSyn | capture::kTcpAck)) == capture::kTcpSyn;
  Flow& flow = obtain(key, opens && to_server);
  const TcpPayload payload = tcp_payload(view);
  if (payload.size != 0 && to_server) note_client(key, flow, payload, time);
  if (payload.size != 0 && !to_server) {
    flow.server_spoke = flow.server_spoke || flow.client_spoke;
    if (flow.asked != 0) flow.answered += payload.size;
  }
  note_end(view, flow, to_server);
  if (flow.covered) return {Verdict::kCovered, key};
  // Behind what waits, so that the connection stays in order.
  if (flow.visible && flow.held == 0) return {Verdict::kVisible, key};
  ++flow.held;
  return {Verdict::kHold, key};
}

bool CoverTable::release(const LegKey& key) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) return false;
  Flow& flow = found->second;
  if (flow.held != 0) --flow.held;
  if (!flow.visible && !flow.covered && has_request(key, flow)) flow.covered = true;
  if (flow.covered) return true;
  if (++flow.released >= kEnoughReleased) flow.visible = true;
  return false;
}

}  // namespace sidetap::mesh
