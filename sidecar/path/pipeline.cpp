#include "sidecar/path/pipeline.h"

#include <algorithm>
#include <utility>

#include "shared/fnv1a.h"
#include "sidecar/packet/flow_sample.h"
#include "sidecar/path/flow_hash.h"

namespace sidetap {
namespace {

// For the registry's first word, at the tap's start.
constexpr std::chrono::milliseconds kPeersUnknown{1000};
constexpr std::chrono::seconds kIdle{10};

std::uint64_t time_us(const capture::CapturedPacket& packet) {
  return packet.seconds * 1'000'000ULL + packet.nanoseconds / 1000;
}

std::uint64_t hash_of(const std::string& text) {
  Fnv1a64 hash;  // the same in every tap and every build
  hash.add(text);
  return hash.value();
}

}  // namespace

std::uint64_t Ledger::sum(const std::array<telemetry::HotCounter, ownership::kRuleCount>& by_rule) {
  std::uint64_t total = 0;
  for (const auto& counter : by_rule) total += counter.value();
  return total;
}

Pipeline::Pipeline(PipelineConfig config, ownership::Engine& engine)
    : config_(std::move(config)),
      engine_(engine),
      expected_(config_.expected.size()),
      all_run_(expected_.empty()),
      restorer_(config_.fidelity),
      limiter_(config_.narrowing.rate_limit),
      backlog_(config_.backlog) {}

void Pipeline::add(std::shared_ptr<forwarding::Forwarder> forwarder, const std::string& key,
                   Part part) {
  if (part == Part::kTaker && takers_.empty() && config_.peers_stand_in)
    held_until_ = now_ + kPeersUnknown;
  forwarder->bound_snaplen(config_.narrowing.snaplen);
  (part == Part::kTaker ? takers_ : copies_).push_back({std::move(forwarder), hash_of(key), key});
  had_taker_ = had_taker_ || part == Part::kTaker;
  wanting_.reserve(takers_.size() + copies_.size());
  taking_.reserve(wanting_.capacity());
  note_who_runs();
}

void Pipeline::remove(const forwarding::Forwarder* forwarder) {
  for (auto* targets : {&takers_, &copies_}) {
    std::erase_if(*targets,
                  [&](const Target& target) { return target.forwarder.get() == forwarder; });
  }
  note_who_runs();
}

void Pipeline::set_receivers(const Receivers& receivers) {
  config_.balance = receivers.balance;
  config_.spread = receivers.spread;
  config_.keep_without_capture = receivers.configured;
  config_.dialled = receivers.dialled;
  config_.expected = receivers.expected();
  std::vector<Expected>(config_.expected.size()).swap(expected_);
  note_who_runs();
}

void Pipeline::note_who_runs() {
  for (std::size_t i = 0; i < expected_.size(); ++i) {
    expected_[i].runs = std::any_of(takers_.begin(), takers_.end(), [&](const Target& target) {
      return target.key == config_.expected[i];
    });
  }
  only_ = takers_.size() == 1 && copies_.empty() ? takers_.front().forwarder.get() : nullptr;
  all_run_ = std::all_of(expected_.begin(), expected_.end(), [](const auto& e) { return e.runs; });
  straight_ = takes_more();
}

void Pipeline::begin_read(Clock::time_point now, bool filling) {
  now_ = now;
  pacer_.advance(now, backlog_.bytes());
  straight_ = !filling && takes_more();
}

/// The fastest sets the pace: it must lose nothing because another stands still.
bool Pipeline::takes_more() const {
  return std::any_of(takers_.begin(), takers_.end(),
                     [](const Target& target) { return target.forwarder->output().takes_more(); });
}

/// Peers count this pod as untapped, so their taps forward all that passes between it and them.
bool Pipeline::is_alone() const { return config_.peers_stand_in && takers_.empty() && !relied_on_; }

void Pipeline::count_each_missed() {
  for (Expected& expected : expected_) {
    if (!expected.runs) expected.missed.add();
  }
}

void Pipeline::count_read(const capture::CapturedPacket& packet) {
  ledger_.read.add();
  ledger_.read_bytes.add(packet.length);
}

void Pipeline::on_packet(const capture::CapturedPacket& packet) {
  count_read(packet);
  capture::PacketView view = capture::parse_packet(config_.link, packet.bytes);
  if (view.direction == capture::Direction::kUnknown) view.direction = packet.direction;
  const ownership::Decision decision =
      engine_.looks_back() ? engine_.decide(view, stamps_.moment_of(packet)) : engine_.decide(view);
  if (!decision.owned) {
    ledger_.not_owned[static_cast<std::size_t>(decision.rule)].add();
    return;
  }
  take_owned(packet, view, decision.rule);
}

void Pipeline::on_leg(const capture::CapturedPacket& packet) {
  count_read(packet);
  take_owned(packet, capture::parse_packet(config_.link, packet.bytes), ownership::Rule::kMeshLeg);
}

void Pipeline::leave_out(const capture::CapturedPacket& packet, ownership::Rule rule) {
  count_read(packet);
  ledger_.not_owned[static_cast<std::size_t>(rule)].add();
}

void Pipeline::take_owned(const capture::CapturedPacket& packet, const capture::PacketView& view,
                          ownership::Rule rule) {
  ledger_.owned[static_cast<std::size_t>(rule)].add();
  ledger_.owned_bytes.add(packet.length);
  hand_on(packet, view, rule == ownership::Rule::kMeshLeg);
}

void Pipeline::on_collected(const capture::CapturedPacket& packet) {
  count_read(packet);
  ledger_.collected.add();
  ledger_.owned_bytes.add(packet.length);
  if (asks_for_flows() || config_.narrowing.flow_sampling > 1) {
    hand_on(packet, capture::parse_packet(config_.link, packet.bytes), false);
  } else {
    hand_on(packet, unread_, false);
  }
}

/// It is owned.
void Pipeline::hand_on(const capture::CapturedPacket& packet, const capture::PacketView& view,
                       bool leg) {
  const std::uint64_t flow = flow_of(view);
  if (is_left_out(packet, view, flow)) return;
  pacer_.arrive(packet.bytes.size());
  // Asked each time: what an output keeps while it is full is a small part of a read.
  if (straight_ && backlog_.packets() == 0 && pacer_.may_send() && takes_more()) {
    pacer_.spend(packet.bytes.size());
    take(packet, view, flow, true);
    return;
  }
  if (!copies_.empty()) copy(packet, view, flow);
  keep_or_take(packet, view, flow, leg);
}

std::uint64_t Pipeline::flow_of(const capture::PacketView& view) const {
  return asks_for_flows() ? flow_hash(view) : 0;
}

/// Behind the decision on ownership, which must not miss how flows begin: a pause ends some time,
/// and a sample may grow.
bool Pipeline::is_left_out(const capture::CapturedPacket& packet, const capture::PacketView& view,
                           std::uint64_t flow) {
  const Narrowing& narrowing = config_.narrowing;
  if (narrowing.paused) {
    ledger_.paused.add();
  } else if (narrowing.flow_sampling > 1 && !capture::is_in_sample(view, narrowing.flow_sampling)) {
    ledger_.sampled_flows.add();
  } else if (narrowing.rate_limit.any() && !within_rate(packet, view, flow)) {
    ledger_.rate_limited.add();
  } else {
    return false;
  }
  return true;
}

void Pipeline::set_narrowing(const Narrowing& narrowing, std::uint32_t captured_bytes) {
  if (narrowing.rate_limit != config_.narrowing.rate_limit)
    limiter_ = forwarding::RateLimiter(narrowing.rate_limit);
  config_.narrowing = narrowing;
  config_.captured_bytes = captured_bytes;
  for (const auto* targets : {&takers_, &copies_}) {
    for (const Target& target : *targets) target.forwarder->bound_snaplen(narrowing.snaplen);
  }
}

bool Pipeline::within_rate(const capture::CapturedPacket& packet, const capture::PacketView& view,
                           std::uint64_t flow) {
  const std::uint32_t packets =
      config_.narrowing.rate_limit.packets_per_second == 0 ? 1 : restorer_.count(view, packet);
  return limiter_.admit(flow, packet.length, time_us(packet), packets);
}

/// What comes while older packets wait goes behind them, so that every flow stays in order.
void Pipeline::keep_or_take(const capture::CapturedPacket& packet, const capture::PacketView& view,
                            std::uint64_t flow, bool leg) {
  const bool alone = !leg && is_alone();
  if (alone && engine_.is_left_to_peer(view)) {
    ledger_.left_to_peers.add();
    return;
  }
  last_kept_ = now_;
  const bool may_keep = config_.keep_without_capture || !takers_.empty();
  while (!may_keep || !backlog_.keep(packet, alone)) {
    if (takers_.empty()) {
      ledger_.no_session.add();
      count_missed();
      return;
    }
    if (backlog_.packets() == 0) {
      take(packet, view, flow, false);
      return;
    }
    replay_oldest();
  }
  ledger_.kept.add();
}

bool Pipeline::can_replay() const {
  return backlog_.packets() != 0 && (peers_known_ || now_ >= held_until_) && takes_more();
}

/// It is owned already, and within the rate.
void Pipeline::replay_oldest() {
  const auto [packet, alone] = backlog_.oldest();
  ledger_.released.add();
  const auto view = capture::parse_packet(config_.link, packet.bytes);
  if (alone && engine_.is_left_to_peer(view)) {
    ledger_.left_to_peers.add();
  } else {
    pacer_.spend(packet.bytes.size());
    take(packet, view, flow_of(view), false);
  }
  backlog_.drop_oldest();
}

void Pipeline::replay() {
  while (pacer_.may_send() && can_replay()) replay_oldest();
}

void Pipeline::abandon() {
  while (backlog_.packets() != 0) {
    backlog_.drop_oldest();
    ledger_.released.add();
    ledger_.no_session.add();
    count_missed();
  }
}

void Pipeline::trim() {
  if (now_ - last_kept_ >= kIdle) backlog_.trim();
}

/// With `copies` also to those who look on: so it is split only once.
void Pipeline::take(const capture::CapturedPacket& packet, const capture::PacketView& view,
                    std::uint64_t flow, bool copies) {
  ledger_.taken.add();
  count_missed();
  if (only_) {
    if (may_want(*only_, packet, view)) forward(packet, view, flow, {&only_, 1}, true);
    return;
  }
  wanting_.clear();
  choose_takers(packet, view, flow);
  const bool taken = !wanting_.empty();
  if (copies) choose_copies(packet, view);
  forward(packet, view, flow, wanting_, taken);
}

void Pipeline::copy(const capture::CapturedPacket& packet, const capture::PacketView& view,
                    std::uint64_t flow) {
  wanting_.clear();
  choose_copies(packet, view);
  forward(packet, view, flow, wanting_, false);
}

/// Of a packet that was several on the wire only those can be judged, each for itself.
bool Pipeline::may_want(forwarding::Forwarder& forwarder, const capture::CapturedPacket& packet,
                        const capture::PacketView& view) const {
  return forwarder.wants_all() || restorer_.count(view, packet) > 1 ||
         forwarder.wants(packet.bytes, packet.length);
}

void Pipeline::choose_takers(const capture::CapturedPacket& packet, const capture::PacketView& view,
                             std::uint64_t flow) {
  const auto offer = [&](const Target& target) {
    if (may_want(*target.forwarder, packet, view)) wanting_.push_back(target.forwarder.get());
  };
  if (config_.balance) {
    // Rendezvous hashing: when a capture goes, only its own flows move.
    offer(
        *std::max_element(takers_.begin(), takers_.end(), [flow](const Target& a, const Target& b) {
          return mix(flow, a.key_hash) < mix(flow, b.key_hash);
        }));
  } else {
    std::for_each(takers_.begin(), takers_.end(), offer);
  }
}

void Pipeline::choose_copies(const capture::CapturedPacket& packet,
                             const capture::PacketView& view) {
  for (const Target& target : copies_) {
    if (may_want(*target.forwarder, packet, view)) wanting_.push_back(target.forwarder.get());
  }
}

void Pipeline::forward(const capture::CapturedPacket& packet, const capture::PacketView& view,
                       std::uint64_t flow, Forwarders wanting, bool taken) {
  if (wanting.empty()) return;
  const std::uint32_t count = restorer_.begin(view, packet);
  if (count > 1) {
    if (taken) ledger_.segments.add(count - 1);
    return forward_segments(packet, count, flow, wanting);
  }
  if (packet.bytes.size() < std::min(packet.length, config_.captured_bytes)) {
    // What another tap has cut is cut on purpose.
    if (!config_.collected) ledger_.cut.add();
  } else if (packet.offload.segment_size != 0 &&
             config_.fidelity.segment != fidelity::SegmentMode::kOff) {
    ledger_.unsplit.add();  // a tunnel's, whose headers are the inner packet's to repeat
  }
  const fidelity::WirePacket wire = restorer_.next();
  for (forwarding::Forwarder* forwarder : wanting) {
    if (forwarder->samples(packet))
      forwarder->forward(packet, wire.head, wire.body, wire.length, flow);
  }
}

void Pipeline::forward_segments(const capture::CapturedPacket& packet, std::uint32_t count,
                                std::uint64_t flow, Forwarders wanting) {
  for (forwarding::Forwarder* forwarder : wanting) forwarder->note_split(count);
  const bool filtered =
      std::any_of(wanting.begin(), wanting.end(), [](const auto* f) { return !f->wants_all(); });
  for (std::uint32_t i = 0; i < count; ++i) {
    fidelity::WirePacket wire;
    if (filtered) {
      wire = restorer_.next();
      segment_.assign(wire.head.begin(), wire.head.end());
      segment_.insert(segment_.end(), wire.body.begin(), wire.body.end());
    }
    taking_.clear();
    for (forwarding::Forwarder* forwarder : wanting) {
      const bool wants = forwarder->wants_all() || forwarder->wants(segment_, wire.length);
      if (wants && forwarder->samples(packet)) taking_.push_back(forwarder);
    }
    if (!filtered) {
      if (taking_.empty()) {
        restorer_.skip();
        continue;
      }
      wire = restorer_.next();
    }
    for (forwarding::Forwarder* forwarder : taking_)
      forwarder->forward(packet, wire.head, wire.body, wire.length, flow);
  }
}

template <class Visit>
void Pipeline::for_each_output(Visit visit) const {
  for (const auto* targets : {&takers_, &copies_}) {
    for (const Target& target : *targets) visit(target.forwarder->output());
  }
}

void Pipeline::flush() {
  for_each_output([](forwarding::Output& output) { output.flush(); });
}

void Pipeline::collect_blocked(std::vector<int>& descriptors) const {
  for_each_output([&](const forwarding::Output& output) {
    if (const int descriptor = output.blocked_descriptor(); descriptor >= 0)
      descriptors.push_back(descriptor);
  });
}

bool Pipeline::must_retry() const {
  bool any = false;
  for_each_output([&](const forwarding::Output& output) { any = any || output.must_retry(); });
  return any;
}

}  // namespace sidetap
