// The time of packets from the tap's time stamp to the sensor, as a histogram of fixed size.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sidetap::sensor {

/// Accurate to one part in sixteen.
class LatencyHistogram {
 public:
  /// Negative latencies, from clocks that differ, count as 0.
  void add(std::int64_t microseconds) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(microseconds, 0));
    ++counts_[std::min(bucket_of(value), counts_.size() - 1)];
    ++total_;
    most_ = std::max(most_, value);
  }
  /// The value that `percent` of all values do not exceed; 0 without values.
  std::uint64_t percentile(unsigned percent) const {
    const std::uint64_t wanted = (total_ * percent + 99) / 100;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen != 0) return std::min(highest_in(i), most_);
    }
    return 0;
  }
  std::uint64_t most() const { return most_; }

 private:
  static constexpr unsigned kStepBits = 4;  // steps a power of two
  static std::size_t bucket_of(std::uint64_t value) {
    if (value < 1U << kStepBits) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kStepBits - 1;
    return (std::size_t{shift} << kStepBits) + (value >> shift);
  }
  static std::uint64_t highest_in(std::size_t bucket) {
    if (bucket < 1U << kStepBits) return bucket;
    const auto shift = static_cast<unsigned>(bucket >> kStepBits) - 1;
    const std::uint64_t first = (bucket & ((1U << kStepBits) - 1)) + (1U << kStepBits);
    return ((first + 1) << shift) - 1;
  }

  std::array<std::uint64_t, 512> counts_{};  // up to 2^35 us, many hours
  std::uint64_t total_ = 0;
  std::uint64_t most_ = 0;
};

}  // namespace sidetap::sensor
