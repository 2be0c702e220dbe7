#include "sidecar/tap/longest_packet_watch.h"

#include <chrono>

#include "sidecar/capture/link_facts.h"

namespace sidetap {
namespace {

constexpr std::chrono::seconds kReadFactsEvery{1};

}  // namespace

void LongestPacketWatch::start(const std::vector<CaptureLoop*>& loops) {
  for (CaptureLoop* loop : loops) rows_.push_back({loop});
  look();
}

void LongestPacketWatch::look() {
  for (Row& row : rows_) {
    const auto facts = capture::read_link_facts(row.loop->name());
    if (!facts || facts->longest_packet <= row.longest) continue;
    row.longest = facts->longest_packet;
    row.loop->expect(row.longest);
  }
  timer_.expires_after(kReadFactsEvery);
  timer_.async_wait([this](const boost::system::error_code& stopped) {
    if (!stopped) look();
  });
}

}  // namespace sidetap
