#include "sidecar/packet/filter_front.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace sidetap::capture {
namespace {

// From linux/filter.h and linux/bpf_common.h.
constexpr unsigned kClassBits = 0x07;
constexpr unsigned kLoad = 0x00;
constexpr unsigned kLoadX = 0x01;
constexpr unsigned kModeBits = 0xe0;
constexpr unsigned kAbsolute = 0x20;
constexpr unsigned kIndirect = 0x40;
constexpr unsigned kHeaderLength = 0xa0;
constexpr std::uint16_t kJumpAlways = 0x05;
constexpr std::uint16_t kReturnConstant = 0x06;

/// An offset in the metadata of the kernel (SKF_AD_OFF).
constexpr std::uint32_t ancillary(std::uint32_t at) { return 0xfffff000U + at; }
constexpr std::uint32_t kAncillaryProtocol = ancillary(0);
constexpr std::uint32_t kAncillaryPacketType = ancillary(4);
constexpr std::uint32_t kAncillaryInterface = ancillary(8);
constexpr std::uint32_t kAncillaryHardwareType = ancillary(28);

/// Where the kernel has what the header of a cooked capture has at `at`.
std::optional<std::uint32_t> in_kernel(std::uint32_t at, LinkType link) {
  const bool second = link == LinkType::kLinuxSll2;
  const std::uint32_t header = second ? 20 : 16;
  if (at >= header) return at - header;
  switch (at) {
    case 0:
      return second ? kAncillaryProtocol : kAncillaryPacketType;
    case 4:
      return second ? std::optional(kAncillaryInterface) : std::nullopt;
    case 8:
      return second ? std::optional(kAncillaryHardwareType) : std::nullopt;
    case 10:
      return second ? std::optional(kAncillaryPacketType) : std::nullopt;
    case 14:
      return second ? std::nullopt : std::optional(kAncillaryProtocol);
    default:
      return std::nullopt;
  }
}

bool reads_packet(std::uint16_t operation) {
  const unsigned mode = operation & kModeBits;
  const unsigned kind = operation & kClassBits;
  return (kind == kLoad || kind == kLoadX) &&
         (mode == kAbsolute || mode == kIndirect || mode == kHeaderLength);
}

}  // namespace

Result<std::vector<BpfInstruction>> as_kernel_sees(std::vector<BpfInstruction> program,
                                                   LinkType link) {
  if (link != LinkType::kLinuxSll && link != LinkType::kLinuxSll2) return program;
  for (BpfInstruction& each : program) {
    if (!reads_packet(each.code)) continue;
    const auto at = in_kernel(each.k, link);
    // The metadata has no neighbours: only a load of its own place finds it.
    const bool found = at && (*at < ancillary(0) || (each.code & kModeBits) == kAbsolute);
    if (!found)
      return Error{"the kernel does not tell byte " + std::to_string(each.k) +
                   " of the link layer's header"};
    each.k = *at;
  }
  return program;
}

std::vector<BpfInstruction> behind(std::vector<BpfInstruction> front,
                                   const std::vector<BpfInstruction>& program) {
  const std::size_t size = front.size();
  // One instruction for another, so the jumps of `front` stay as they are.
  for (std::size_t i = 0; i < size; ++i) {
    if (front[i].code == kReturnConstant && front[i].k != 0)
      front[i] = {
          .code = kJumpAlways, .jt = 0, .jf = 0, .k = static_cast<std::uint32_t>(size - i - 1)};
  }
  front.insert(front.end(), program.begin(), program.end());
  return front;
}

}  // namespace sidetap::capture
