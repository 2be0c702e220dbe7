#include "sidecar/path/packet_loop.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "shared/telemetry/log.h"
#include "sidecar/path/filter_facts.h"

namespace sidetap {
namespace {

using forwarding::Forwarder;

// Times the blocks of the ring it covers the 50 ms for which a tap stands at its limit of half a
// CPU, and as much again on a busy node.
constexpr unsigned kBlockTimeoutMs = 8;
// Of the link layer, IP with extension headers, a tunnel or a quoted packet, and ports.
constexpr std::uint32_t kHeaderBytes = 256;
// Between two trains of what waits, while nothing else is to be done: see Pacer.
constexpr int kReplayPause = 1;
// For the system to have memory again for what is sent.
constexpr int kRetryPause = 1;
// For a sensor that has stopped reading to take what is packed for it.
constexpr std::chrono::milliseconds kFinish{200};

capture::DeviceConfig device_config(const CaptureLoopConfig& config) {
  capture::DeviceConfig device;
  device.method = config.method;
  // The kernel's filter says how much of a packet is kept, because that can change.
  device.snaplen = kLongestPacket;
  device.buffer_bytes = config.buffer_bytes;
  device.block_timeout_ms = kBlockTimeoutMs;
  return device;
}

PipelineConfig pipeline_config(const CaptureLoopConfig& config) {
  PipelineConfig pipeline = config.pipeline;
  pipeline.captured_bytes = captured_bytes(pipeline, pipeline.narrowing);
  return pipeline;
}

}  // namespace

std::uint32_t captured_bytes(const PipelineConfig& config, const Narrowing& narrowing) {
  // Checksums and segments can be made of whole packets only, so where they are, the forwarders
  // cut; who owns a packet can be told from its headers.
  const fidelity::RestorerConfig& fidelity = config.fidelity;
  if (fidelity.checksums || fidelity.segment != fidelity::SegmentMode::kOff) return kLongestPacket;
  return std::max(narrowing.snaplen, kHeaderBytes);
}

PacketLoop::PacketLoop(CaptureLoopConfig config, std::unique_ptr<capture::Device> device,
                       std::unique_ptr<ownership::ListeningSockets> listening,
                       CommandQueue& commands)
    : config_(std::move(config)),
      listening_(std::move(listening)),
      commands_(commands),
      engine_(config_.engine, *listening_),
      pipeline_(pipeline_config(config_), engine_),
      handler_(config_.pipeline.collected ? pipeline_.collected() : pipeline_),
      slot_(config_.interface, device_config(config_), std::move(device)),
      captures_(config_.sensors),
      clients_look_on_(config_.pipeline.keep_without_capture) {
  if (config_.legs) {
    config_.legs->connect(pipeline_);
    config_.legs->set_self(config_.engine.self);
    config_.legs->set_mtu(config_.pipeline.fidelity.mtu);
    config_.legs->set_filter(config_.pipeline.narrowing.filter);
  }
}

capture::PacketHandler& PacketLoop::inlet() {
  if (config_.legs) return config_.legs->inlet();
  return handler_;
}

void PacketLoop::open() {
  (void)slot_.look(inlet());
  if (slot_.is_open()) {
    pipeline_.set_link_type(slot_.link_type());
    if (config_.legs) config_.legs->set_link_type(slot_.link_type());
  }
  if (config_.legs) config_.legs->look();
}

capture::SourceCounts PacketLoop::source_counts() {
  capture::SourceCounts counts = slot_.counts();
  if (config_.legs) {
    const capture::SourceCounts legs = config_.legs->counts();
    counts.accepted += legs.accepted;
    counts.dropped += legs.dropped;
    counts.dropped_by_interface += legs.dropped_by_interface;
  }
  return counts;
}

void PacketLoop::drain() {
  slot_.drain(inlet());
  if (config_.legs) config_.legs->drain();
}

void PacketLoop::give_up_rights() {
  if (auto give_up = std::exchange(config_.give_up_rights, nullptr)) give_up();
}

/// Where an interface comes back with another link layer, the filter of the former one is not
/// applied. Until the control thread has built the whole one, the operator's alone holds.
void PacketLoop::filter_new_link() {
  const capture::LinkType link = slot_.link_type();
  if (slot_.filter_link() == link) return;
  const Narrowing& narrowing = pipeline_.narrowing();
  FilterFacts facts({}, {}, narrowing.filter, captured_bytes(config_.pipeline, narrowing));
  if (auto program = facts.build_expression(link)) slot_.set_filter(std::move(*program), link);
}

/// Closes and opens the interface as it goes and comes.
void PacketLoop::keep_source() {
  using Change = SourceSlot::Change;
  for (;;) {
    switch (slot_.look(inlet())) {
      case Change::kNone:
        return;
      case Change::kOpened:
        pipeline_.set_link_type(slot_.link_type());
        if (config_.legs) config_.legs->set_link_type(slot_.link_type());
        filter_new_link();
        give_up_rights();
        break;
      case Change::kGivenUp:
        if (config_.on_lost) config_.on_lost(slot_.open_error());
        break;
      case Change::kClosed:
      case Change::kCondition:
        break;
    }
    if (config_.on_change) config_.on_change();
  }
}

/// Hands packets to the pipeline, each with the moment when it passed where that matters.
std::size_t PacketLoop::read_source() {
  const Clock::time_point now = Clock::now();
  if (engine_.looks_back()) {
    engine_.forget_peers_before(now - config_.longest_backlog);
    pipeline_.set_stamp_offset(capture::StampOffset::now());
  }
  LegPath* const legs = config_.legs.get();
  pipeline_.begin_read(now, slot_.is_filling() || (legs != nullptr && legs->is_filling()));
  // The legs first: they tell which packets of the interface are left out.
  const std::size_t got = legs != nullptr ? legs->read(kPacketsPerRead, now) : 0;
  return got + slot_.read(inlet(), kPacketsPerRead);
}

int PacketLoop::until_next_look() const {
  Clock::time_point next = slot_.next_look();
  if (config_.legs) next = std::min(next, config_.legs->next_due());
  for (const HandOver& each : hand_overs_) next = std::min(next, each.deadline);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      std::max(next - Clock::now(), Clock::duration::zero()));
  return static_cast<int>(left.count());
}

void PacketLoop::wait(int timeout_ms) {
  polled_.clear();
  polled_.push_back({commands_.descriptor(), POLLIN, 0});
  if (slot_.is_open()) polled_.push_back({slot_.descriptor(), POLLIN, 0});
  if (config_.legs) {
    for (const int each : {config_.legs->descriptor(), config_.legs->openings_descriptor()})
      if (each >= 0) polled_.push_back({each, POLLIN, 0});
  }
  blocked_.clear();
  pipeline_.collect_blocked(blocked_);
  for (const int descriptor : blocked_) polled_.push_back({descriptor, POLLOUT, 0});
  if (config_.gather.count() != 0 && blocked_.empty() && gather(timeout_ms)) return;
  poll(polled_.data(), polled_.size(), timeout_ms);
}

/// Returns true if a command has come, which does not wait.
bool PacketLoop::gather(int timeout_ms) {
  const auto left = std::min<Clock::duration>(last_read_ + config_.gather - Clock::now(),
                                              std::chrono::milliseconds(timeout_ms));
  if (left <= Clock::duration::zero()) return false;
  const timespec pause{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(left).count()};
  return ppoll(polled_.data(), 1, &pause, nullptr) > 0;
}

void PacketLoop::run() {
  if (slot_.is_open()) give_up_rights();
  Clock::time_point last_flush = Clock::now();
  for (;;) {
    turns_.add();
    if (commands_.due()) commands_.run();
    if (stopping_) break;  // one of the commands says so
    const Clock::time_point now = Clock::now();
    if (now >= slot_.next_look()) {
      keep_source();
      pipeline_.trim();
    }
    if (config_.legs && now >= config_.legs->next_look()) config_.legs->look();
    const std::size_t got = read_source();
    if (got != 0) last_read_ = now;
    if (got == 0) pipeline_.replay();
    if (!hand_overs_.empty()) end_hand_overs(false);
    if (got == 0) {
      // Nothing more is there now: what is packed need not wait for company.
      pipeline_.flush();
      last_flush = now;
      if (pipeline_.can_replay()) {
        wait(kReplayPause);
      } else {
        wait(pipeline_.must_retry() ? kRetryPause : until_next_look());
      }
    } else if (now - last_flush >= config_.flush_interval) {
      pipeline_.flush();
      last_flush = now;
    }
  }
  end_hand_overs(true);
  abandon();
}

void PacketLoop::hand_over(std::function<void()> done, std::function<void()> awaits) {
  hand_overs_.push_back({Clock::now() + config_.hand_over, std::move(done), std::move(awaits)});
}

void PacketLoop::tell_that_it_awaits() {
  if (!std::exchange(told_that_it_awaits_, true))
    telemetry::info("waiting for the first session, which gets what was captured before it",
                    {{"interface", config_.interface},
                     {"packets", pipeline_.waiting()},
                     {"milliseconds", config_.hand_over.count()}});
  for (HandOver& each : hand_overs_) {
    if (each.awaits) commands_.answer(std::exchange(each.awaits, nullptr));
  }
}

void PacketLoop::abandon() {
  if (const std::size_t lost = pipeline_.waiting(); lost != 0)
    telemetry::warn("no session took what was still waiting; it is lost",
                    {{"interface", config_.interface}, {"packets", lost}});
  pipeline_.abandon();
}

void PacketLoop::end_hand_overs(bool all) {
  const Clock::time_point now = Clock::now();
  const bool awaits = pipeline_.awaits_first_capture();
  const bool over = all || hurried_ || !slot_.is_open() || (!awaits && !pipeline_.has_left()) ||
                    std::any_of(hand_overs_.begin(), hand_overs_.end(),
                                [now](const HandOver& each) { return now >= each.deadline; });
  if (!over) {
    if (awaits) tell_that_it_awaits();
    return;
  }
  pipeline_.hold_no_longer();
  slot_.end_capture();
  if (config_.legs) config_.legs->end_capture();
  drain();
  if (config_.legs) config_.legs->release(now, true);
  send_what_waits([deadline = Clock::now() + kFinish] { return Clock::now() < deadline; });
  pipeline_.flush();
  for (HandOver& each : hand_overs_)
    if (each.done) commands_.answer(std::move(each.done));
  hand_overs_.clear();
}

void PacketLoop::add(std::uint64_t id, CaptureRegister::Capture capture) {
  capture.before = source_counts();
  capture.part = part_of(capture);
  if (is_present(capture)) pipeline_.add(capture.forwarder, capture.key, capture.part);
  captures_.add(id, std::move(capture));
}

bool PacketLoop::is_present(const CaptureRegister::Capture& capture) const {
  return capture.client || capture.stage == stage_;
}

Part PacketLoop::part_of(const CaptureRegister::Capture& capture) const {
  return capture.client && clients_look_on_ ? Part::kCopy : Part::kTaker;
}

void PacketLoop::advance(std::uint64_t stage, const Receivers& receivers) {
  const std::vector<std::string>& former_expected = pipeline_.expected_keys();
  for (std::size_t i = 0; i < former_expected.size(); ++i)
    captures_.add_missed(former_expected[i], pipeline_.missed(i));
  captures_.count_also(receivers.sensors);
  pipeline_.flush();
  pipeline_.set_receivers(receivers);
  clients_look_on_ = receivers.configured;
  const std::uint64_t former = std::exchange(stage_, stage);
  if (former != stage) {
    // First who comes: between them there is no moment without a capture.
    for (const auto& [id, capture] : captures_.running()) {
      if (!capture.client && capture.stage == stage)
        pipeline_.add(capture.forwarder, capture.key, capture.part);
    }
    for (const auto& [id, capture] : captures_.running()) {
      if (!capture.client && capture.stage == former) pipeline_.remove(capture.forwarder.get());
    }
  }
  for (const auto& [id, capture] : captures_.running()) {
    const Part part = part_of(capture);
    if (capture.part == part) continue;
    captures_.change_part(id, part);
    pipeline_.remove(capture.forwarder.get());
    pipeline_.add(capture.forwarder, capture.key, part);
  }
}

Result<void> PacketLoop::set_sensor_filter(std::uint64_t id, forwarding::SensorFilter filter) {
  const CaptureRegister::Capture* capture = captures_.find(id);
  if (capture == nullptr) return Error{"there is no such capture"};
  capture->forwarder->set_filter(std::move(filter));
  return {};
}

void PacketLoop::send_what_waits(const std::function<bool()>& goes_on) {
  while (pipeline_.has_left() && goes_on()) {
    const std::size_t got = read_source();
    pipeline_.replay();
    if (got != 0) continue;
    pipeline_.flush();  // or what is full stays so
    poll(nullptr, 0, kReplayPause);
  }
}

void PacketLoop::end(std::uint64_t id) {
  const CaptureRegister::Capture* capture = captures_.find(id);
  if (capture == nullptr) return;
  const std::shared_ptr<Forwarder> forwarder = capture->forwarder;
  const bool present = is_present(*capture);
  if (present) drain();
  forwarding::Output& output = forwarder->output();
  const auto deadline = Clock::now() + kFinish;
  send_what_waits([&] { return present && output.takes_more() && Clock::now() < deadline; });
  pipeline_.remove(forwarder.get());
  output.flush();
  const auto waits = [&] { return output.blocked_descriptor() >= 0 || output.must_retry(); };
  while (waits() && Clock::now() < deadline) {
    if (read_source() == 0) {
      pipeline_.flush();
      // poll() looks at no negative descriptor: it only pauses then.
      pollfd ready{output.blocked_descriptor(), POLLOUT, 0};
      poll(&ready, 1, kRetryPause);
    }
    output.flush();
  }
  output.finish();
  captures_.remove(id);
}

void PacketLoop::set_narrowing(const Narrowing& narrowing) {
  pipeline_.set_narrowing(narrowing, captured_bytes(config_.pipeline, narrowing));
  if (config_.legs) config_.legs->set_filter(narrowing.filter);
}

rpcap::Stats PacketLoop::stats(std::uint64_t id) {
  const CaptureRegister::Capture* capture = captures_.find(id);
  if (capture == nullptr) return {};
  const auto since = [](std::uint64_t count, std::uint64_t before) {
    return static_cast<std::uint32_t>(count - before);
  };
  const capture::SourceCounts& before = capture->before;
  const capture::SourceCounts now = source_counts();
  rpcap::Stats stats;
  stats.received = since(now.accepted, before.accepted);
  stats.dropped_by_interface = since(now.dropped_by_interface, before.dropped_by_interface);
  stats.dropped_by_kernel = since(now.dropped, before.dropped);
  stats.captured = since(capture->forwarder->output().counts().forwarded.value(), 0);
  return stats;
}

LoopCounts PacketLoop::counts() {
  LoopCounts counts{captures_.totals()};
  const std::vector<std::string>& expected = pipeline_.expected_keys();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (SensorCounts* const sensor = counts.find(expected[i]))
      sensor->missed += pipeline_.missed(i);
  }
  counts.source = source_counts();
  if (config_.legs) {
    counts.mesh = config_.legs->present_mesh().kind;
    counts.loopback = config_.legs->counts().accepted;
  }
  counts.reopened = slot_.reopened();
  counts.flows = engine_.flows();
  for (unsigned phase = 0; phase < ownership::kFlowPhaseCount; ++phase)
    counts.flow_evictions[phase] = engine_.flow_evictions(static_cast<ownership::FlowPhase>(phase));
  return counts;
}

}  // namespace sidetap
