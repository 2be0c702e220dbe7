// Counts and times of all taps, in memory that the processes of tap_load share.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <vector>

#include <sys/mman.h>

namespace sidetap::bench {

struct TapCounts {
  std::atomic<std::uint32_t> arrivals{0};  ///< Of processes, at the points where all wait for all.
  std::atomic<std::uint32_t> failures{0};  ///< Attempts that came to no capture, or lost it.
  std::atomic<std::uint64_t> packets{0};   ///< Given to sockets.
  std::atomic<std::uint64_t> bytes{0};     ///< Given to sockets, with RPCAP headers.
  std::atomic<std::uint64_t> datagrams{0};
  std::atomic<std::uint64_t> send_errors{0};  ///< Packets that no socket took.
};

/// Make it before the processes part.
class TapTally {
 public:
  /// `most`: number of times().
  explicit TapTally(std::size_t most)
      : most_(most), size_(sizeof(TapCounts) + most * sizeof(float)) {
    memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    counts_ = new (memory_) TapCounts;
  }
  ~TapTally() { munmap(memory_, size_); }
  TapTally(const TapTally&) = delete;
  TapTally& operator=(const TapTally&) = delete;

  TapCounts& counts() { return *counts_; }
  /// Seconds until each tap captured, the first time and after each storm; 0: it did not.
  std::span<float> times() {
    auto* const first =
        reinterpret_cast<float*>(static_cast<std::byte*>(memory_) + sizeof(TapCounts));
    return {first, most_};
  }

 private:
  std::size_t most_;
  std::size_t size_;
  void* memory_ = nullptr;
  TapCounts* counts_ = nullptr;
};

/// Of those times that are not 0.
struct TimeSummary {
  std::size_t count = 0;
  double p50 = 0;
  double most = 0;
};

inline TimeSummary summary_of(std::span<const float> times) {
  std::vector<float> known;
  for (const float time : times) {
    if (time > 0) known.push_back(time);
  }
  if (known.empty()) return {};
  std::sort(known.begin(), known.end());
  return {known.size(), known[known.size() / 2], known.back()};
}

}  // namespace sidetap::bench
