// One capture that a sensor asked for: its filter, sampling and snaplen before its output.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "shared/result.h"
#include "shared/rpcap/messages.h"
#include "sidecar/forwarding/output.h"
#include "sidecar/packet/captured_packet.h"

namespace sidetap::forwarding {

/// A sensor's BPF program, checked once, then run on each packet in the process. Hostile programs
/// are refused: too long, with an unknown instruction or a jump that is not forward and inside, or
/// refused by libpcap's own bpf_validate(). So a run takes no more steps than the program has
/// instructions.
class SensorFilter {
 public:
  SensorFilter() = default;  ///< Lets everything pass.
  static Result<SensorFilter> make(std::span<const rpcap::BpfInstruction> program);
  bool passes_all() const { return program_.empty(); }
  bool passes(std::span<const std::byte> bytes, std::uint32_t length) const {
    return passes_all() || accepts(bytes, length);
  }

 private:
  bool accepts(std::span<const std::byte> bytes, std::uint32_t length) const;
  std::vector<rpcap::BpfInstruction> program_;
};

/// Packets that a sensor asked not to receive, and segments of split packets. The packet path
/// writes the counts; any thread may read them.
struct ForwarderCounts {
  telemetry::HotCounter filtered;  ///< By the sensor's filter.
  telemetry::HotCounter sampled;   ///< Excluded by sampling.
  telemetry::HotCounter segments;  ///< Packets beyond the captured ones.
};

/// One thread, but for counts() and output().counts().
class Forwarder {
 public:
  /// `snaplen`: bytes of each packet that the sensor asks for; nothing: all.
  Forwarder(std::unique_ptr<Output> output, SensorFilter filter, rpcap::Sampling sampling,
            std::optional<std::uint32_t> snaplen);

  bool wants_all() const { return filter_.passes_all(); }
  /// Whether the sensor's filter accepts this packet as it was on the wire. Counts packets that it
  /// does not accept.
  bool wants(std::span<const std::byte> bytes, std::uint32_t length) {
    if (filter_.passes(bytes, length)) return true;
    counts_.filtered.add();
    return false;
  }
  /// Whether the sensor's sampling takes the next packet as it was on the wire. Counts packets that
  /// it does not take. `packet` is the captured one.
  bool samples(const capture::CapturedPacket& packet) {
    if (sampling_.method == rpcap::SamplingMethod::kNone || takes_sample(packet)) return true;
    counts_.sampled.add();
    return false;
  }
  /// A captured packet was `count` packets on the wire.
  void note_split(std::uint32_t count) { counts_.segments.add(count - 1); }
  /// A packet as it was on the wire, in two parts; cut to the snaplen and numbered.
  void forward(const capture::CapturedPacket& packet, std::span<const std::byte> head,
               std::span<const std::byte> body, std::uint32_t length, std::uint64_t flow = 0) {
    head = head.first(std::min<std::size_t>(head.size(), snaplen_));
    body = body.first(std::min<std::size_t>(body.size(), snaplen_ - head.size()));
    output_->add({.header = {.seconds = packet.seconds,
                             .microseconds = packet.nanoseconds / 1000,
                             .captured = static_cast<std::uint32_t>(head.size() + body.size()),
                             .length = length,
                             .number = ++number_},
                  .head = head,
                  .body = body,
                  .flow = flow,
                  .nanoseconds = packet.nanoseconds,
                  .origin = packet.origin});
  }

  void set_filter(SensorFilter filter) { filter_ = std::move(filter); }
  /// Forwards at most this many bytes of each packet, whatever the sensor asks for.
  void bound_snaplen(std::uint32_t most) { snaplen_ = std::min(asked_snaplen_, most); }
  Output& output() { return *output_; }
  const Output& output() const { return *output_; }
  const ForwarderCounts& counts() const { return counts_; }

 private:
  bool takes_sample(const capture::CapturedPacket& packet);

  std::unique_ptr<Output> output_;
  SensorFilter filter_;
  rpcap::Sampling sampling_;
  const std::uint32_t asked_snaplen_;
  std::uint32_t snaplen_;
  std::uint32_t number_ = 0;
  std::uint32_t sampling_count_ = 0;
  std::uint64_t sampling_next_us_ = 0;
  ForwarderCounts counts_;
};

}  // namespace sidetap::forwarding
