#include "sidecar/forwarding/pacer.h"

#include <algorithm>

namespace sidetap::forwarding {
namespace {

using Seconds = std::chrono::duration<double>;

// Shorter ones would see single blocks of the ring.
constexpr std::chrono::milliseconds kPeriod{10};

}  // namespace

Pacer::Pacer(PaceConfig config)
    : config_(config), rate_(config.least_rate), credit_(config.shortest_train) {}

void Pacer::advance(Time now, std::size_t waiting) {
  if (const Time::duration period = now - mean_taken_; period >= kPeriod) {
    const double seconds = Seconds(period).count();
    const double now_and_before = seconds / (seconds + Seconds(config_.memory).count());
    mean_ += (static_cast<double>(arrived_) / seconds - mean_) * now_and_before;
    arrived_ = 0;
    mean_taken_ = now;
  }
  const double urgent = static_cast<double>(waiting) / Seconds(config_.longest_wait).count();
  rate_ = std::max(config_.least_rate + urgent, config_.headroom * mean_);
  const double train = std::clamp(rate_ * Seconds(config_.train_time).count(),
                                  config_.shortest_train, config_.longest_train);
  credit_ = std::min(
      credit_ + rate_ * Seconds(std::max(now - last_, Time::duration::zero())).count(), train);
  last_ = now;
}

}  // namespace sidetap::forwarding
