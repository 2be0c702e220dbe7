#include "sidecar/path/source_slot.h"

#include <algorithm>
#include <utility>

#include <poll.h>

#include "shared/telemetry/log.h"

namespace sidetap {
namespace {

using capture::Condition;

// The kernel hands a block over when it is full or, after two rounds of its timer, when its time is
// up; that of the SCTP ring is the longest.
constexpr std::chrono::milliseconds kDrain{100};

void add_counts(capture::SourceCounts& into, const capture::SourceCounts& counts) {
  into.accepted += counts.accepted;
  into.dropped += counts.dropped;
  into.dropped_by_interface += counts.dropped_by_interface;
}

}  // namespace

SourceSlot::SourceSlot(std::string interface, capture::DeviceConfig config,
                       std::unique_ptr<capture::Device> device)
    : interface_(std::move(interface)), config_(config), device_(std::move(device)) {
  config_.interface = interface_.c_str();
}

capture::SourceSight SourceSlot::see() {
  capture::SourceSight sight;
  sight.fault = fault_;
  if (source_) {
    sight.bound = source_->bound_index();
    sight.outgrown = source_->outgrown_by() != 0;
  }
  sight.interface =
      device_->look(interface_, sight.bound > 0 ? static_cast<unsigned>(sight.bound) : 0);
  return sight;
}

SourceSlot::Change SourceSlot::look(capture::PacketHandler& handler) {
  using Step = capture::SourceKeeper::Step;
  const Clock::time_point now = Clock::now();
  next_look_ = now + capture::SourceKeeper::kLookEvery;
  switch (keeper_.next(see(), now)) {
    case Step::kNone:
      break;
    case Step::kClose:
      close(handler);
      return Change::kClosed;
    case Step::kOpen:
      return open(now);
    case Step::kGiveUp:
      return Change::kGivenUp;
  }
  return publish();
}

/// What the keeper has found out, for the other threads and for the log.
SourceSlot::Change SourceSlot::publish() {
  const Condition now = keeper_.condition();
  const Condition before = std::exchange(condition_, now);
  is_working_.store(now == Condition::kWorking, std::memory_order_relaxed);
  if (now == before) return Change::kNone;
  const std::vector<telemetry::Field> fields = {
      {"interface", interface_}, {"reason", std::string(capture::condition_text(now))}};
  if (now == Condition::kDown || now == Condition::kNoCarrier) {
    telemetry::log(telemetry::LogLevel::kWarn, "nothing can be captured now", fields);
  } else if (now == Condition::kWorking &&
             (before == Condition::kDown || before == Condition::kNoCarrier)) {
    telemetry::info("packets pass the interface again", {{"interface", interface_}});
  } else if (now == Condition::kMissing && !ever_open_) {
    telemetry::log(telemetry::LogLevel::kError, "cannot capture yet; trying again", fields);
  }
  return Change::kCondition;
}

SourceSlot::Change SourceSlot::open(Clock::time_point now) {
  config_.filter = program_;
  auto opened = device_->open(config_);
  if (!opened) {
    keeper_.failed(now);
    if (std::exchange(open_error_, opened.error().text) != opened.error().text)
      telemetry::error(ever_open_ ? "cannot open the interface again yet; trying again"
                                  : "cannot capture yet; trying again",
                       {{"interface", interface_}, {"reason", open_error_}});
    return publish();
  }
  const bool again = ever_open_ || !open_error_.empty() || condition_ == Condition::kMissing;
  source_ = std::move(*opened);
  open_error_.clear();
  read_ = 0;
  ever_open_ = true;
  is_open_.store(true, std::memory_order_relaxed);
  link_.store(source_->link_type(), std::memory_order_relaxed);
  keeper_.opened();
  if (again) {
    reopened_.add();
    telemetry::info("the interface is open", {{"interface", interface_}});
  }
  // It may be down.
  (void)keeper_.next(see(), now);
  publish();
  return Change::kOpened;
}

void SourceSlot::close(capture::PacketHandler& handler) {
  telemetry::warn("capture stopped; opening the interface again",
                  {{"interface", interface_}, {"reason", keeper_.reason()}});
  is_open_.store(false, std::memory_order_relaxed);
  publish();
  // A renamed interface goes on: what is counted must stay at what is read.
  stop_capture();
  drain(handler);
  capture::SourceCounts counts = source_->counts();
  counts.dropped += unread(counts.accepted);
  add_counts(closed_, counts);
  config_.longest_packet = std::max(config_.longest_packet, source_->outgrown_by());
  source_.reset();
  fault_.clear();
}

std::size_t SourceSlot::read(capture::PacketHandler& handler, std::size_t most) {
  if (!source_) return 0;
  const auto got = source_->read(handler, most);
  if (!got) {
    fault_ = got.error().text;
    look_soon();
    return 0;
  }
  read_ += *got;
  return *got;
}

/// How many of the first `accepted` packets of this source have not come yet.
std::uint64_t SourceSlot::unread(std::uint64_t accepted) {
  const std::uint64_t came = read_ + source_->counts().dropped;
  return accepted > came ? accepted - came : 0;
}

void SourceSlot::drain(capture::PacketHandler& handler) {
  if (!source_) return;
  const auto deadline = Clock::now() + kDrain;
  const std::uint64_t accepted = source_->counts().accepted;
  while (unread(accepted) != 0 && Clock::now() < deadline) {
    if (read(handler, kPacketsPerRead) != 0) continue;
    pollfd ready{source_->descriptor(), POLLIN, 0};
    poll(&ready, 1, 1);
  }
}

void SourceSlot::set_filter(std::vector<capture::BpfInstruction> program, capture::LinkType link) {
  program_ = std::move(program);
  config_.filter_link = link;
  if (!source_ || program_.empty() || ended_ || link != source_->link_type()) return;
  if (auto set = source_->set_filter(program_); !set)
    telemetry::warn("the tap filters without the kernel's help",
                    {{"interface", interface_}, {"reason", set.error().text}});
}

void SourceSlot::end_capture() {
  ended_ = true;
  stop_capture();
}

/// So that the kernel's counts stay at what is read.
void SourceSlot::stop_capture() {
  constexpr capture::BpfInstruction kNothing{.code = 0x06, .jt = 0, .jf = 0, .k = 0};
  if (source_) (void)source_->set_filter({&kNothing, 1});
}

void SourceSlot::expect(std::size_t longest) {
  config_.longest_packet = std::max(config_.longest_packet, longest);
  if (source_) source_->expect(longest);
}

capture::SourceCounts SourceSlot::counts() {
  capture::SourceCounts counts = closed_;
  if (source_) add_counts(counts, source_->counts());
  return counts;
}

}  // namespace sidetap
