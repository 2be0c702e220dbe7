#include "sidecar/capture/growing_ring.h"

#include <system_error>
#include <utility>

#include <linux/filter.h>

namespace sidetap::capture {
namespace {

// Long enough that a burst which the small ring holds is no load.
constexpr std::chrono::milliseconds kPeriod{100};

}  // namespace

Result<std::unique_ptr<GrowingRing>> GrowingRing::open(const RingConfig& small,
                                                       const GrowthConfig& growth) {
  auto first = Ring::open(small);
  if (!first) return first.error();
  std::unique_ptr<Ring> second;
  if (growth.block_bytes * growth.blocks > small.block_bytes * small.blocks) {
    // Now, since there may be no right to make a packet socket later.
    RingConfig config = small;
    config.block_bytes = growth.block_bytes;
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
      block_bytes_(config.block_bytes),
      block_timeout_(config.block_timeout_ms) {}

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
      // What came before the change goes first, and after this time nothing more of it comes.
      const auto settling = 2 * block_timeout_;
      Ring& last = phase_ == Phase::kGrowing ? *small_ : *large_;
      if (const std::size_t done = last.read(handler, most); done != 0) return done;
      if (Clock::now() - since_ >= settling) end_growing_or_shrinking();
      return 0;
    }
    case Phase::kLarge: {
      look_for_quiet();
      return large_->read(handler, most);
    }
  }
  return 0;
}

bool GrowingRing::under_load(const Ring& ring) {
  if (const Clock::time_point now = Clock::now(); now - period_ >= kPeriod) {
    const std::uint64_t bytes = small_->bytes_read() + large_->bytes_read();
    const auto blocks_due = static_cast<std::uint64_t>((now - period_) / block_timeout_);
    busy_ = bytes - read_before_period_ > blocks_due * block_bytes_;
    period_ = now;
    read_before_period_ = bytes;
  }
  return busy_ || ring.is_half_full();
}

void GrowingRing::start_growing() {
  if (Clock::now() < since_) return;
  allocated_ = 0;
  try {
    allocating_ = std::thread([this] {
      const bool done = large_->allocate(growth_.blocks).has_value();
      allocated_.store(done ? 1 : -1, std::memory_order_release);
    });
    phase_ = Phase::kAllocating;
  } catch (const std::system_error&) {
    // The pod's limit of processes is reached, and not by the tap.
    since_ = Clock::now() + growth_.quiet;
  }
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
  const bool load = under_load(*large_);
  const Clock::time_point now = Clock::now();
  if (load) since_ = now;
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
