#include "sidecar/packet/flow_sample.h"

namespace sidetap::capture {
namespace {

/// The finaliser of SplitMix64. Taps of different releases must agree, so it never changes.
constexpr std::uint64_t scrambled(std::uint64_t h) {
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
  return h ^ (h >> 31);
}

std::uint64_t end_hash(net::IpAddress address, std::uint16_t port) {
  return scrambled(scrambled(scrambled(address.high() + 1) ^ address.low()) ^ port);
}

/// A sum is the same in both directions.
std::uint64_t sample_hash(std::uint64_t one_end, std::uint64_t other_end, std::uint8_t protocol) {
  return scrambled((one_end + other_end) ^ protocol);
}

std::uint64_t sample_hash(const PacketView& view) {
  // A later fragment has no ports, and may not tell the protocol behind extension headers.
  if (view.fragment) return sample_hash(end_hash(view.source, 0), end_hash(view.destination, 0), 0);
  if (view.quote && view.quote->has_ports) {
    const QuotedFlow& flow = *view.quote;
    return sample_hash(end_hash(flow.source, flow.source_port),
                       end_hash(flow.destination, flow.destination_port), flow.protocol);
  }
  return sample_hash(end_hash(view.source, view.source_port),
                     end_hash(view.destination, view.destination_port), view.protocol);
}

}  // namespace

bool is_in_sample(const PacketView& view, std::uint32_t one_in) {
  if (one_in <= 1 || !view.is_ip()) return true;
  return (sample_hash(view) >> 32) * one_in >> 32 == 0;
}

}  // namespace sidetap::capture
