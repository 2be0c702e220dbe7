#include "sidecar/forwarding/pacer.h"

#include <algorithm>

namespace sidetap::forwarding {
namespace {

using Seconds = std::chrono::duration<double>;

// Shorter ones would see single blocks of the ring.
constexpr std::chrono::milliseconds kPeriod{10};

}  // namespace

Pacer::Pacer(PaceConfig config)
    : config_(config),
      rate_(config.least_rate),
      train_(config.shortest_train),
      credit_(config.shortest_train) {}

void Pacer::advance(Time now) {
  if (const Time::duration period = now - mean_taken_; period >= kPeriod) {
    const double seconds = Seconds(period).count();
    const double now_and_before = seconds / (seconds + Seconds(config_.memory).count());
    mean_ += (static_cast<double>(arrived_) / seconds - mean_) * now_and_before;
    rate_ = std::max(config_.least_rate, config_.headroom * mean_);
    train_ = std::clamp(rate_ * Seconds(config_.train_time).count(), config_.shortest_train,
                        config_.longest_train);
    arrived_ = 0;
    mean_taken_ = now;
  }
  credit_ = std::min(
      credit_ + rate_ * Seconds(std::max(now - last_, Time::duration::zero())).count(), train_);
  last_ = now;
}

}  // namespace sidetap::forwarding
