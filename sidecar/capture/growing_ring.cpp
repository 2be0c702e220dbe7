#include "sidecar/capture/growing_ring.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <linux/filter.h>

namespace sidetap::capture {
namespace {

// Long enough that a burst which the small ring holds is no load.
constexpr std::chrono::milliseconds kPeriod{100};
// For the kernel's timer to release what a ring holds that gets nothing more.
constexpr std::chrono::seconds kLongestWait{1};
// One is filled while the others are read.
constexpr unsigned kFewestBlocks = 4;

}  // namespace

Result<std::unique_ptr<GrowingRing>> GrowingRing::open(const RingConfig& small,
                                                       const GrowthConfig& growth,
                                                       net::UniqueFd& first_socket,
                                                       net::UniqueFd& second_socket) {
  auto first = Ring::open(small, first_socket);
  if (!first) return first.error();
  std::unique_ptr<Ring> second;
  if (second_socket && may_grow(small, growth)) {
    // Now, since there may be no right to make a packet socket later.
    RingConfig config = small;
    config.blocks = 0;
    constexpr BpfInstruction kNothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
    config.filter = {&kNothing, 1};  // Until it is in the group it would get every packet too.
    auto opened = Ring::open(config, second_socket);
    if (!opened) {
      first_socket = (*first)->give_up_socket();
      return opened.error();
    }
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
  if (changing_.joinable()) changing_.join();
}

std::size_t GrowingRing::read(PacketHandler& handler, std::size_t most) {
  const std::size_t got = read_phase(handler, most);
  // What the other end of the link hands over may be longer than this end says.
  const std::uint32_t cut =
      std::max(small_->longest_cut(), large_ ? large_->longest_cut() : std::uint32_t{0});
  if (cut > longest_) expect(cut);
  return got;
}

std::size_t GrowingRing::read_phase(PacketHandler& handler, std::size_t most) {
  switch (phase_) {
    case Phase::kSmall:
      if (large_) look_for_load();
      return small_->read(handler, most);
    case Phase::kGrowing:
      return read_changing(*small_, *large_, handler, most);
    case Phase::kLarge:
      look_for_quiet();
      return large_->read(handler, most);
    case Phase::kShrinking:
      return read_changing(*large_, *small_, handler, most);
  }
  return 0;
}

/// What came before the change goes first: the next ring's turn comes when packets have gone there
/// for two rounds of the kernel's timer, which releases what the last one holds, and nothing is
/// left there. Until the kernel's word and as long again the last one is looked at all the same.
std::size_t GrowingRing::read_changing(Ring& last, Ring& next, PacketHandler& handler,
                                       std::size_t most) {
  const Change change = change_.load(std::memory_order_acquire);
  const Clock::time_point now = Clock::now();
  if (turned_ == Clock::time_point() && change == Change::kTurning && next.has_any()) turned_ = now;
  const auto over = change == Change::kDone ? now - done_ : Clock::duration::zero();
  const auto turned = turned_ == Clock::time_point() ? over : now - turned_;
  if (const std::size_t got = last.read(handler, most); got != 0) return got;
  const bool holds = last.has_any();
  const auto settled = [&](Clock::duration time) {
    return time >= 2 * block_timeout_ && (!holds || time >= kLongestWait);
  };
  if (change == Change::kFailed || settled(over)) {
    end_change();
    return read_phase(handler, most);
  }
  return settled(turned) ? next.read(handler, most) : 0;
}

bool GrowingRing::under_load(const Ring& ring, Clock::time_point now) {
  if (now - period_ >= kPeriod) {
    const std::uint64_t bytes = small_->bytes_read() + large_->bytes_read();
    const auto blocks_due = static_cast<std::uint64_t>((now - period_) / block_timeout_);
    busy_ = bytes - read_before_period_ > blocks_due * block_bytes_;
    period_ = now;
    read_before_period_ = bytes;
  }
  return busy_ || ring.is_half_full();
}

void GrowingRing::start_change(Phase phase) {
  change_ = Change::kPreparing;
  turned_ = {};
  try {
    changing_ = std::thread([this, grow = phase == Phase::kGrowing] {
      bool done = !grow || large_->allocate(growth_.block_bytes, growth_.blocks).has_value();
      if (done) {
        change_.store(Change::kTurning, std::memory_order_release);
        done = small_->direct_group_to(grow ? 1 : 0).has_value();
        done_ = Clock::now();
      }
      change_.store(done ? Change::kDone : Change::kFailed, std::memory_order_release);
    });
    phase_ = phase;
  } catch (const std::system_error&) {
    // The pod's limit of processes is reached, and not by the tap: not to be tried at every read.
    since_ = Clock::now() + growth_.quiet;
  }
}

void GrowingRing::end_change() {
  changing_.join();
  since_ = Clock::now();
  const bool failed = change_ == Change::kFailed;
  const bool large = (phase_ == Phase::kGrowing) != failed;
  phase_ = large ? Phase::kLarge : Phase::kSmall;
  if (large) return;
  large_->release();
  // No memory now: not to be asked for at every read.
  if (failed) since_ += growth_.quiet;
}

void GrowingRing::look_for_load() {
  const Clock::time_point now = Clock::now();
  if (now >= since_ && (!has_room(block_bytes_) || under_load(*small_, now)))
    start_change(Phase::kGrowing);
}

void GrowingRing::look_for_quiet() {
  const Clock::time_point now = Clock::now();
  if (!has_room(block_bytes_) || under_load(*large_, now)) since_ = now;
  if (now - since_ >= growth_.quiet) start_change(Phase::kShrinking);
}

void GrowingRing::expect(std::size_t longest) {
  longest_ = std::max(longest_, longest);
  if (has_room(block_bytes_)) return;
  // The large ring has its memory, or is about to get it, with blocks of the size that it has now.
  const bool may_change = phase_ == Phase::kSmall && large_;
  if (may_change) {
    const std::size_t bytes = growth_.block_bytes * growth_.blocks;
    while (!has_room(growth_.block_bytes)) growth_.block_bytes *= 2;
    growth_.blocks = std::max(static_cast<unsigned>(bytes / growth_.block_bytes), kFewestBlocks);
  } else if (!large_ || !has_room(growth_.block_bytes)) {
    outgrown_ = true;
  }
}

net::UniqueFd GrowingRing::give_up_socket() {
  return large_ ? net::UniqueFd() : small_->give_up_socket();
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
