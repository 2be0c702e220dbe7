// Whatever passes the loopback interface is judged, rewritten and split without reading out of
// bounds, in place and in a copy alike, and no byte of the payload changes. What passes the pod's
// interface is judged too.
//
// Input: kind of mesh and flags (a byte each), MTU (two bytes), then packets, each behind its
// length (two bytes).
#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <vector>

#include "sidecar/fidelity/restorer.h"
#include "sidecar/mesh/cover_table.h"
#include "sidecar/mesh/leg_filter.h"
#include "sidecar/mesh/leg_rewriter.h"
#include "sidecar/mesh/leg_table.h"

namespace {

using namespace sidetap;
using Bytes = std::vector<std::byte>;

void require(bool holds) {
  if (!holds) std::abort();
}

/// Of every second connection, the proxy is the client.
class AnyOwners final : public mesh::SocketOwners {
 public:
  Result<std::vector<mesh::Listener>> listeners() override { return std::vector<mesh::Listener>(); }
  std::optional<std::uint32_t> owner_of(const mesh::SocketEnds& ends) override {
    if (ends.local_port % 4 == 0) return std::nullopt;
    return ends.local_port % 2 == 0 ? 1337U : 1000U;
  }
  bool has_socket(const mesh::SocketEnds& ends) override { return ends.local_port % 4 != 0; }
};

std::size_t number_at(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<std::size_t>(bytes[at]) << 8 | std::to_integer<std::size_t>(bytes[at + 1]);
}

mesh::Mesh mesh_of(unsigned kind) {
  constexpr std::array kKinds = {mesh::Kind::kIstio, mesh::Kind::kAmbient, mesh::Kind::kLinkerd,
                                 mesh::Kind::kEnvoy};
  const std::vector<mesh::Listener> listeners = {{net::IpAddress::v4(0), 15006, 1337},
                                                 {net::IpAddress::v4(0), 15008, 0},
                                                 {net::IpAddress::v4(0), 4143, 1337},
                                                 {net::IpAddress::v4(0), 8080, 1000},
                                                 {net::IpAddress(), 80, 1000}};
  return mesh::find_mesh({.kind = kKinds[kind % kKinds.size()]}, listeners);
}

/// The TCP payload of all packets that a captured one is on the wire.
Bytes payload_of(const capture::CapturedPacket& packet, capture::LinkType link, std::uint32_t mtu) {
  fidelity::Restorer restorer({.mtu = mtu});
  const auto view = capture::parse_packet(link, packet.bytes);
  const std::uint32_t count = restorer.begin(view, packet);
  Bytes all;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto wire = restorer.next();
    Bytes whole(wire.head.begin(), wire.head.end());
    whole.insert(whole.end(), wire.body.begin(), wire.body.end());
    const auto payload = mesh::tcp_payload(capture::parse_packet(link, whole)).bytes;
    all.insert(all.end(), payload.begin(), payload.end());
  }
  return all;
}

void check_rewritten(mesh::LegRewriter& rewriter, const Bytes& bytes, const mesh::LegKey& key,
                     capture::Offload offload, std::uint32_t mtu) {
  capture::CapturedPacket packet;
  packet.bytes = bytes;
  packet.length = static_cast<std::uint32_t>(bytes.size());
  packet.offload = offload;
  const auto view = capture::parse_packet(capture::LinkType::kEthernet, bytes);
  const Bytes before(bytes);
  const auto copied = rewriter.rewrite(packet, view, key);
  const Bytes first(copied.bytes.begin(), copied.bytes.end());
  require(bytes == before);
  const auto expected = mesh::tcp_payload(view).bytes;
  const Bytes payload = payload_of(copied, rewriter.facts().link, mtu);
  require(std::equal(payload.begin(), payload.end(), expected.begin(), expected.end()));

  Bytes own(bytes);
  packet.bytes = own;
  packet.writable = own;
  const auto in_place =
      rewriter.rewrite(packet, capture::parse_packet(capture::LinkType::kEthernet, own), key);
  require(std::equal(first.begin(), first.end(), in_place.bytes.begin(), in_place.bytes.end()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHead = 4;
  if (size < kHead) return 0;
  auto input = std::as_bytes(std::span(data, size));
  const unsigned flags = data[1];
  const auto mtu = static_cast<std::uint32_t>(number_at(input, 2));
  const std::vector<net::IpAddress> self = {net::IpAddress::v4(0x0a000001),
                                            net::IpAddress::v6(0xfd00ULL << 48, 1)};
  AnyOwners owners;
  mesh::LegTable legs(owners);
  mesh::CoverTable cover(owners);
  mesh::LegRewriter rewriter;
  const mesh::Mesh mesh = mesh_of(data[0]);
  legs.set_mesh(mesh);
  legs.set_self(self);
  cover.set_mesh(mesh);
  cover.set_self(self);
  rewriter.set_self(self);
  mesh::WireFacts facts;
  facts.link = (flags & 1) != 0 ? capture::LinkType::kRawIp : capture::LinkType::kEthernet;
  facts.mtu = mtu;
  facts.pod_addresses = self;
  if ((flags & 2) != 0) facts.clients = {net::IpAddress::v4(0xc0000207)};
  rewriter.set_facts(facts);
  mesh::LegFilterConfig filter{.self = self};
  std::int64_t time = 1;
  for (input = input.subspan(kHead); input.size() >= 2;) {
    const std::size_t length = std::min(number_at(input, 0), input.size() - 2);
    // A copy of the exact size, so that the sanitizer detects reads past the end.
    const Bytes bytes(input.begin() + 2, input.begin() + 2 + static_cast<std::ptrdiff_t>(length));
    input = input.subspan(2 + length);
    const auto view = capture::parse_packet(capture::LinkType::kEthernet, bytes);
    const auto judgement = legs.judge(view);
    if (cover.judge(view, ++time).verdict == mesh::CoverTable::Verdict::kHold)
      cover.release(judgement.key);
    if (judgement.kind == mesh::LegJudgement::Kind::kOther) {
      filter.ignored.push_back(judgement.key);
      continue;
    }
    if (judgement.request) cover.note_request(judgement.key.server_port, time);
    capture::Offload offload;
    offload.known = (flags & 4) != 0;
    check_rewritten(rewriter, bytes, judgement.key, offload, mtu);
  }
  require(mesh::build_leg_filter(mesh, filter).size() + capture::kSourceBpfInstructions <=
          capture::kMaxBpfInstructions);
  return 0;
}
