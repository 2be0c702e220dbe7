// A hostile tap's packets: datagrams (first byte even) or a stream in pieces (odd), each preceded
// by its length in two bytes.
//
// For any input, memory is bounded, no packet is longer than allowed or than it was on the wire,
// and every packet that is counted is delivered.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "sidecar/collector/tap_feed.h"

namespace {

using namespace sidetap;

constexpr std::uint32_t kMost = 2'000;

void require(bool holds) {
  if (!holds) std::abort();
}

class Checker final : public capture::PacketHandler {
 public:
  void on_packet(const capture::CapturedPacket& packet) override {
    require(packet.bytes.size() <= kMost && packet.bytes.size() <= packet.length);
    require(packet.nanoseconds < 1'000'000'000 && packet.origin == 7);
    ++packets;
  }
  std::uint64_t packets = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool stream = (data[0] & 1) != 0;
  auto input = std::as_bytes(std::span(data, size)).subspan(1);
  Checker checker;
  collector::FeedSink sink{.handler = &checker};
  collector::TapFeed feed(7, kMost, sink);
  std::vector<std::byte> rest;
  while (input.size() >= 2) {
    const std::size_t length =
        std::to_integer<std::size_t>(input[0]) << 8 | std::to_integer<std::size_t>(input[1]);
    input = input.subspan(2);
    const auto piece = input.first(std::min(length, input.size()));
    input = input.subspan(piece.size());
    if (!stream) {
      (void)collector::TapFeed::may_be_datagram(piece);
      feed.on_datagram(piece);
      require(feed.held() <= 2 * kMost);
      continue;
    }
    rest.insert(rest.end(), piece.begin(), piece.end());
    const auto taken = feed.on_stream(rest);
    if (!taken) break;
    require(*taken <= rest.size());
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(*taken));
    require(rest.size() < 28 + kMost);
  }
  const collector::TapCounts counts = feed.counts();
  require(counts.packets == checker.packets && sink.delivered == checker.packets);
  return 0;
}
