// Any bytes on any link layer: no read out of bounds, and offsets that lie within reason.
#include <cstdlib>
#include <span>

#include "sidecar/packet/packet_view.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sidetap::capture;
  if (size == 0) return 0;
  constexpr LinkType kLinks[] = {LinkType::kEthernet, LinkType::kRawIp, LinkType::kLinuxSll,
                                 LinkType::kLinuxSll2};
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const PacketView view = parse_packet(kLinks[data[0] % 4], bytes);
  if (view.depth == Depth::kTransport && view.transport_offset + 2U > bytes.size()) std::abort();
  if (view.depth == Depth::kTransport && view.fragment && !view.first_fragment) std::abort();
  if (view.quote && view.depth != Depth::kTransport) std::abort();
  return 0;
}
