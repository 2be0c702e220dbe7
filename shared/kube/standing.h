// What the watch of one resource is worth: whether it works, and whether what it has reported still
// counts. Pure: its owner measures the time of grace, writes the log and counts failures.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

namespace sidetap::kube {

class Standing {
 public:
  /// Identifies one time of grace.
  using Grace = std::uint64_t;
  struct Fall {
    bool first = false;            ///< Since the watch last worked: tell the log.
    std::optional<Grace> grace{};  ///< A time of grace begins. When it is over, call expire().
  };

  /// The watch works, and what it has reported is current. Ends the time of grace. Returns whether
  /// a failure was told, so that its end is worth telling.
  bool rise() {
    stands_ = current_ = true;
    ++grace_;
    return std::exchange(told_, false);
  }
  /// The watch, or an attempt to begin it, has failed. Of many in a row, the first begins the time
  /// of grace.
  Fall fall() {
    Fall result{.first = !std::exchange(told_, true)};
    if (std::exchange(stands_, false)) result.grace = ++grace_;
    return result;
  }
  /// A time of grace is over. Returns whether what was reported no longer counts: it still does if
  /// the watch has worked since that time began.
  bool expire(Grace grace) {
    if (grace != grace_ || stands_) return false;
    return std::exchange(current_, false);
  }
  /// What was reported no longer counts, whatever stands.
  void forget() {
    stands_ = current_ = false;
    ++grace_;
  }

  bool current() const { return current_; }

 private:
  bool stands_ = false, current_ = false, told_ = false;
  Grace grace_ = 0;
};

}  // namespace sidetap::kube
