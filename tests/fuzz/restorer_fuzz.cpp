// Restores any packet with any offloads to its form on the wire. Nothing is read out of bounds, no
// byte of the payload is lost or duplicated, and segments have correct lengths and checksums.
//
// Input: link layer, mode and offload flags, segment size, checksum start and offset, MTU (two
// bytes each), then the packet.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "sidecar/fidelity/restorer.h"

namespace {

using namespace sidetap;
using Bytes = std::vector<std::byte>;

void require(bool holds) {
  if (!holds) std::abort();
}

std::uint32_t half(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<std::uint32_t>(bytes[at]) << 8 |
         std::to_integer<std::uint32_t>(bytes[at + 1]);
}

/// RFC 1071, a word at a time.
std::uint64_t sum(std::span<const std::byte> bytes) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    total += std::to_integer<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  return total;
}

bool adds_up(std::uint64_t total) {
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return total == 0xffff;
}

/// One of several segments: its headers match its payload.
void check_segment(capture::LinkType link, const Bytes& whole) {
  const auto view = capture::parse_packet(link, whole);
  require(view.depth == capture::Depth::kTransport);
  const std::span<const std::byte> ip = std::span(whole).subspan(view.network_offset);
  const bool v6 = std::to_integer<unsigned>(ip[0]) >> 4 == 6;
  require(half(ip, v6 ? 4 : 2) + (v6 ? 40 : 0) == ip.size());
  const auto transport = std::span(whole).subspan(view.transport_offset);
  if (!v6) {
    const std::size_t header = (std::to_integer<std::size_t>(ip[0]) & 0xf) * 4;
    require(adds_up(sum(ip.first(header))));
  }
  if (view.protocol == 17) require(half(transport, 4) == transport.size());
  if (view.protocol == 17 && half(transport, 6) == 0) return;  // none was asked for
  const auto addresses = v6 ? ip.subspan(8, 32) : ip.subspan(12, 8);
  require(adds_up(sum(addresses) + view.protocol + transport.size() + sum(transport)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHead = 10;
  if (size < kHead) return 0;
  constexpr capture::LinkType kLinks[] = {capture::LinkType::kEthernet, capture::LinkType::kRawIp,
                                          capture::LinkType::kLinuxSll,
                                          capture::LinkType::kLinuxSll2};
  const auto input = std::as_bytes(std::span(data, size));
  const capture::LinkType link = kLinks[data[0] % 4];
  fidelity::RestorerConfig config;
  config.checksums = (data[1] & 1) == 0;
  config.segment = static_cast<fidelity::SegmentMode>(data[0] / 4 % 3);
  config.mtu = half(input, 8);
  capture::CapturedPacket packet;
  packet.offload.known = (data[1] & 2) != 0;
  packet.offload.checksum_partial = (data[1] & 4) != 0;
  packet.offload.udp_segments = (data[1] & 8) != 0;
  packet.offload.segment_size = static_cast<std::uint16_t>(half(input, 2));
  packet.offload.checksum_start = static_cast<std::uint16_t>(half(input, 4));
  packet.offload.checksum_offset = static_cast<std::uint16_t>(half(input, 6));
  // A copy of the exact size, so that the sanitizer detects reads past the end.
  const Bytes bytes(input.begin() + kHead, input.end());
  packet.bytes = bytes;
  packet.length = static_cast<std::uint32_t>(bytes.size()) + ((data[1] & 16) != 0 ? 1 : 0);

  fidelity::Restorer restorer(config);
  const auto view = capture::parse_packet(link, bytes);
  const std::uint32_t count = restorer.begin(view, packet);
  require(restorer.count(view, packet) == count);
  require(count >= 1 && count <= bytes.size() + 1);
  Bytes payload;
  for (std::uint32_t i = 0; i < count; ++i) {
    const fidelity::WirePacket wire = restorer.next();
    require(wire.length >= wire.head.size() + wire.body.size());
    payload.insert(payload.end(), wire.body.begin(), wire.body.end());
    if (count == 1) {
      require(wire.length <= packet.length);
      continue;
    }
    Bytes whole(wire.head.begin(), wire.head.end());
    whole.insert(whole.end(), wire.body.begin(), wire.body.end());
    check_segment(link, whole);
  }
  // It is the next part of the captured payload, without a gap.
  require(payload.empty() ||
          (payload.size() <= bytes.size() &&
           memmem(bytes.data(), bytes.size(), payload.data(), payload.size()) != nullptr));
  return 0;
}
