#include "sidecar/pipeline.h"

#include <algorithm>
#include <utility>

namespace sidetap {
namespace {

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t h = (a ^ b) * 0x9e3779b97f4a7c15ULL;
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93ULL;
  return h ^ (h >> 32);
}

std::uint64_t time_us(const capture::CapturedPacket& packet) {
  return packet.seconds * 1'000'000ULL + packet.nanoseconds / 1000;
}

std::uint64_t hash_of(const std::string& text) {
  std::uint64_t h = 0xcbf29ce484222325ULL;  // FNV-1a: the same in every tap and every build
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return h;
}

}  // namespace

std::uint64_t Ledger::sum(const std::array<telemetry::HotCounter, ownership::kRuleCount>& by_rule) {
  std::uint64_t total = 0;
  for (const auto& counter : by_rule) total += counter.value();
  return total;
}

std::uint64_t flow_hash(const capture::PacketView& view) {
  std::uint64_t source = mix(view.source.high(), view.source.low());
  std::uint64_t destination = mix(view.destination.high(), view.destination.low());
  // A later fragment has no ports, so no fragment may count them.
  if (!view.fragment) {
    source = mix(source, view.source_port);
    destination = mix(destination, view.destination_port);
  }
  return mix(source + destination, 1);  // a sum is the same in both directions
}

/// What was kept during an outage is owned already, and within the rate.
class Pipeline::Replay final : public capture::PacketHandler {
 public:
  explicit Replay(Pipeline& pipeline) : pipeline_(pipeline) {}
  void on_packet(const capture::CapturedPacket& packet) override {
    pipeline_.ledger_.replayed.add();
    const auto view = capture::parse_packet(pipeline_.config_.link, packet.bytes);
    pipeline_.deliver(packet, view, flow_hash(view));
  }

 private:
  Pipeline& pipeline_;
};

Pipeline::Pipeline(PipelineConfig config, ownership::Engine& engine)
    : config_(config),
      engine_(engine),
      restorer_(config.fidelity),
      limiter_(config.rate_limit),
      outage_(config.outage_buffer) {}

void Pipeline::add(std::shared_ptr<forwarding::Forwarder> forwarder, const std::string& key) {
  targets_.push_back({std::move(forwarder), hash_of(key)});
  wanting_.reserve(targets_.size());
  if (outage_.packets() == 0) return;
  Replay replay(*this);
  outage_.replay(replay);
}

void Pipeline::remove(const forwarding::Forwarder* forwarder) {
  std::erase_if(targets_,
                [&](const Target& target) { return target.forwarder.get() == forwarder; });
}

void Pipeline::on_packet(const capture::CapturedPacket& packet) {
  ledger_.read.add();
  const capture::PacketView view = capture::parse_packet(config_.link, packet.bytes);
  const ownership::Decision decision = engine_.decide(view);
  const auto rule = static_cast<std::size_t>(decision.rule);
  if (!decision.owned) {
    ledger_.not_owned[rule].add();
    return;
  }
  ledger_.owned[rule].add();
  const bool limited = config_.rate_limit.any();
  const std::uint64_t flow = limited || config_.balance || config_.spread ? flow_hash(view) : 0;
  if (limited && !limiter_.admit(flow, packet.length, time_us(packet))) {
    ledger_.rate_limited.add();
    return;
  }
  if (!targets_.empty()) {
    deliver(packet, view, flow);
  } else if (outage_.keep(packet)) {
    ledger_.kept.add();
  } else {
    ledger_.no_session.add();
  }
}

void Pipeline::deliver(const capture::CapturedPacket& packet, const capture::PacketView& view,
                       std::uint64_t flow) {
  ledger_.taken.add();
  wanting_.clear();
  if (config_.balance) {
    if (forwarding::Forwarder& chosen = choose(flow); chosen.wants(packet))
      wanting_.push_back(&chosen);
  } else {
    for (const Target& target : targets_) {
      if (target.forwarder->wants(packet)) wanting_.push_back(target.forwarder.get());
    }
  }
  if (wanting_.empty()) return;
  const std::uint32_t count = restorer_.begin(view, packet);
  if (count > 1) ledger_.segments.add(count - 1);
  for (std::uint32_t i = 0; i < count; ++i) {
    const fidelity::WirePacket wire = restorer_.next();
    for (forwarding::Forwarder* forwarder : wanting_)
      forwarder->forward(packet, wire.head, wire.body, wire.length, flow);
  }
}

// Rendezvous hashing: when a capture goes, only its own flows move.
forwarding::Forwarder& Pipeline::choose(std::uint64_t flow) {
  return *std::max_element(targets_.begin(), targets_.end(),
                           [flow](const Target& a, const Target& b) {
                             return mix(flow, a.key_hash) < mix(flow, b.key_hash);
                           })
              ->forwarder;
}

void Pipeline::flush() {
  for (const Target& target : targets_) target.forwarder->output().flush();
}

bool Pipeline::pending() const {
  return std::any_of(targets_.begin(), targets_.end(), [](const Target& target) {
    const forwarding::Output& output = target.forwarder->output();
    return output.pending() && output.blocked_descriptor() < 0;
  });
}

void Pipeline::collect_blocked(std::vector<int>& descriptors) const {
  for (const Target& target : targets_) {
    if (const int descriptor = target.forwarder->output().blocked_descriptor(); descriptor >= 0)
      descriptors.push_back(descriptor);
  }
}

}  // namespace sidetap
