#include "sidecar/forwarding/forwarder.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include <pcap/pcap.h>

#include "shared/tap/filter_expression.h"
#include "shared/tap/libpcap_program.h"

namespace sidetap::forwarding {

namespace {

/// bpf_validate() looks at parts of a code only, and bpf_filter() aborts at one that it does not
/// know.
bool is_known(std::uint16_t code) {
  const unsigned operation = BPF_OP(code);
  const unsigned operand = BPF_SRC(code);
  const unsigned address = code & (BPF_SIZE(0xff) | BPF_MODE(0xff));
  switch (BPF_CLASS(code)) {
    case BPF_LD:
      return BPF_MODE(code) == BPF_ABS || BPF_MODE(code) == BPF_IND
                 ? BPF_SIZE(code) != (BPF_H | BPF_B) && code <= 0xff
                 : code == (BPF_LD | BPF_LEN) || code == (BPF_LD | BPF_IMM) ||
                       code == (BPF_LD | BPF_MEM);
    case BPF_LDX:
      return code <= 0xff && (address == BPF_LEN || address == BPF_IMM || address == BPF_MEM ||
                              address == (BPF_MSH | BPF_B));
    case BPF_ST:
    case BPF_STX:
      return code == BPF_ST || code == BPF_STX;
    case BPF_ALU:
      return code == (BPF_ALU | BPF_NEG) || (code == (BPF_ALU | operation | operand) &&
                                             operation <= BPF_XOR && operation != BPF_NEG);
    case BPF_JMP:
      return code == (BPF_JMP | BPF_JA) || (code == (BPF_JMP | operation | operand) &&
                                            operation >= BPF_JEQ && operation <= BPF_JSET);
    case BPF_RET:
      return code == (BPF_RET | BPF_K) || code == (BPF_RET | BPF_A);
    default:
      return code == (BPF_MISC | BPF_TAX) || code == (BPF_MISC | BPF_TXA);
  }
}

/// Known instructions, and jumps that go forward and stay inside: bpf_validate() lets them wrap
/// around, and a program could go back for ever.
bool is_harmless(std::span<const rpcap::BpfInstruction> program) {
  for (std::uint64_t i = 0; i < program.size(); ++i) {
    const rpcap::BpfInstruction& at = program[i];
    if (!is_known(at.code)) return false;
    if (BPF_CLASS(at.code) != BPF_JMP) continue;
    const std::uint64_t farthest = BPF_OP(at.code) == BPF_JA ? at.k : std::max(at.jt, at.jf);
    if (i + 1 + farthest >= program.size()) return false;
  }
  return true;
}

}  // namespace

std::string_view drop_cause_name(DropCause cause) {
  switch (cause) {
    case DropCause::kSocketFull:
      return "socket-full";
    case DropCause::kTooLarge:
      return "too-large";
    case DropCause::kSendError:
      return "send-error";
    case DropCause::kDisconnected:
      return "disconnected";
  }
  return "unknown";
}

Result<SensorFilter> SensorFilter::make(std::span<const rpcap::BpfInstruction> program) {
  SensorFilter filter;
  if (program.empty()) return filter;
  if (program.size() > rpcap::kMaxFilterInstructions)
    return Error{"the sensor's filter has " + std::to_string(program.size()) +
                 " instructions; at most " + std::to_string(rpcap::kMaxFilterInstructions) +
                 " are accepted"};
  filter.program_.assign(program.begin(), program.end());
  if (!is_harmless(program) ||
      bpf_validate(tap::as_libpcap(filter.program_), static_cast<int>(filter.program_.size())) == 0)
    return Error{"the sensor's filter is not a valid BPF program"};
  return filter;
}

bool SensorFilter::accepts(std::span<const std::byte> bytes, std::uint32_t length) const {
  return tap::filter_accepts(program_, bytes, length);
}

Forwarder::Forwarder(std::unique_ptr<Output> output, SensorFilter filter, rpcap::Sampling sampling,
                     std::optional<std::uint32_t> snaplen)
    : output_(std::move(output)),
      filter_(std::move(filter)),
      sampling_(sampling),
      asked_snaplen_(snaplen.value_or(std::numeric_limits<std::uint32_t>::max())),
      snaplen_(asked_snaplen_) {}

bool Forwarder::takes_sample(const capture::CapturedPacket& packet) {
  switch (sampling_.method) {
    case rpcap::SamplingMethod::kOneInN:
      if (sampling_count_++ % std::max(sampling_.value, 1U) == 0) return true;
      return false;
    case rpcap::SamplingMethod::kOncePerNMillis: {
      const std::uint64_t now = packet.seconds * 1'000'000ULL + packet.nanoseconds / 1000;
      const std::uint64_t interval = sampling_.value * 1000ULL;
      // A clock that was set back must not silence the capture.
      if (now < sampling_next_us_ && sampling_next_us_ - now <= interval) return false;
      sampling_next_us_ = now + interval;
      return true;
    }
    case rpcap::SamplingMethod::kNone:
      break;
  }
  return true;
}

}  // namespace sidetap::forwarding
