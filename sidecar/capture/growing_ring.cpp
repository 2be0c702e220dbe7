#include "sidecar/capture/growing_ring.h"

#include <utility>

#include <linux/filter.h>

namespace sidetap::capture {

Result<std::unique_ptr<GrowingRing>> GrowingRing::open(const RingConfig& small,
                                                       const GrowthConfig& growth) {
  auto first = Ring::open(small);
  if (!first) return first.error();
  std::unique_ptr<Ring> second;
  if (growth.blocks > small.blocks) {
    // Now, since there may be no right to make a packet socket later.
    RingConfig config = small;
    config.blocks = 0;
    constexpr BpfInstruction kNothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
    config.filter = {&kNothing, 1};  // Until it is in the group it would get every packet too.
    auto opened = Ring::open(config);
    if (!opened) return opened.error();
    second = std::move(*opened);
    if (auto founded = (*first)->found_group(); !founded) return founded.error();
    if (auto directed = (*first)->direct_group_to(0); !directed) return directed.error();
    if (auto joined = second->join_group(**first); !joined) return joined.error();
    if (auto set = second->set_filter(small.filter); !set) return set.error();
  }
  return std::unique_ptr<GrowingRing>(
      new GrowingRing(std::move(*first), std::move(second), small, growth));
}

GrowingRing::GrowingRing(std::unique_ptr<Ring> small, std::unique_ptr<Ring> large,
                         const RingConfig& config, const GrowthConfig& growth)
    : small_(std::move(small)),
      large_(std::move(large)),
      growth_(growth),
      load_(config.blocks / 2),
      settling_(2 * config.block_timeout_ms) {}

GrowingRing::~GrowingRing() {
  if (allocating_.joinable()) allocating_.join();
}

std::size_t GrowingRing::read(PacketHandler& handler, std::size_t most) {
  switch (phase_) {
    case Phase::kSmall:
    case Phase::kAllocating: {
      if (large_ && phase_ == Phase::kSmall && under_load(*small_)) start_growing();
      if (phase_ == Phase::kAllocating && allocated_.load(std::memory_order_acquire) != 0) grow();
      return small_->read(handler, most);
    }
    case Phase::kGrowing:
    case Phase::kShrinking: {
      // What came before the change goes first.
      Ring& last = phase_ == Phase::kGrowing ? *small_ : *large_;
      if (const std::size_t done = last.read(handler, most); done != 0) return done;
      if (Clock::now() - since_ >= settling_) end_growing_or_shrinking();
      return 0;
    }
    case Phase::kLarge: {
      look_for_quiet();
      return large_->read(handler, most);
    }
  }
  return 0;
}

void GrowingRing::start_growing() {
  if (Clock::now() < since_) return;
  phase_ = Phase::kAllocating;
  allocated_ = 0;
  allocating_ = std::thread([this] {
    const bool done = large_->allocate(growth_.blocks).has_value();
    allocated_.store(done ? 1 : -1, std::memory_order_release);
  });
}

void GrowingRing::grow() {
  allocating_.join();
  if (allocated_ == 1 && direct_to(1, Phase::kGrowing)) return;
  // No memory now: not to be asked for at every read.
  large_->release();
  phase_ = Phase::kSmall;
  since_ = Clock::now() + growth_.quiet;
}

void GrowingRing::look_for_quiet() {
  const Clock::time_point now = Clock::now();
  if (under_load(*large_)) since_ = now;
  if (now - since_ >= growth_.quiet) (void)direct_to(0, Phase::kShrinking);
}

bool GrowingRing::direct_to(unsigned member, Phase phase) {
  since_ = Clock::now();
  if (!small_->direct_group_to(member)) return false;
  phase_ = phase;
  return true;
}

void GrowingRing::end_growing_or_shrinking() {
  since_ = Clock::now();
  if (phase_ == Phase::kGrowing) {
    phase_ = Phase::kLarge;
    return;
  }
  large_->release();
  phase_ = Phase::kSmall;
}

Result<void> GrowingRing::set_filter(std::span<const BpfInstruction> program) {
  if (large_) {
    if (auto set = large_->set_filter(program); !set) return set;
  }
  return small_->set_filter(program);
}

Result<void> GrowingRing::check() {
  if (large_) {
    if (auto alive = large_->check(); !alive) return alive;
  }
  return small_->check();
}

void GrowingRing::add_counts(SourceCounts& counts) {
  small_->add_counts(counts);
  if (large_) large_->add_counts(counts);
}

}  // namespace sidetap::capture
