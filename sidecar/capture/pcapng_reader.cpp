#include "sidecar/capture/pcapng_reader.h"

#include <algorithm>
#include <array>
#include <string>

#include "sidecar/capture/pcap_source.h"

namespace sidetap::capture {
namespace {

constexpr std::uint32_t kSection = 0x0a0d0d0a;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kOldPacket = 2;
constexpr std::uint32_t kSimplePacket = 3;
constexpr std::uint32_t kPacket = 6;
constexpr std::uint32_t kByteOrder = 0x1a2b3c4d;

constexpr std::uint32_t kFrame = 12;             ///< Type and twice the length.
constexpr std::uint32_t kMostBlock = 16U << 20;  ///< As libpcap.
constexpr std::size_t kMostInterfaces = 65'536;

constexpr std::uint16_t kTimeResolution = 9;
constexpr std::uint16_t kTimeOffset = 14;

std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

/// Powers of ten, or of two where the highest bit says so; 0: beyond 64 bits.
std::uint64_t ticks_of(std::uint8_t resolution) {
  const unsigned exponent = resolution & 0x7fU;
  if ((resolution & 0x80U) != 0) return exponent < 64 ? std::uint64_t{1} << exponent : 0;
  if (exponent > 19) return 0;
  std::uint64_t ticks = 1;
  for (unsigned i = 0; i < exponent; ++i) ticks *= 10;
  return ticks;
}

}  // namespace

std::uint64_t PcapngReader::number(std::span<const std::byte> bytes) const {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[little_ ? bytes.size() - 1 - i : i]);
  return value;
}

std::string PcapngReader::left_out() const {
  if (left_out_ == 0) return {};
  return std::to_string(left_out_) + " packets are left out: link layer " +
         std::to_string(unknown_link_) +
         " of their interface is not supported; Ethernet, raw IP and Linux cooked are";
}

Result<bool> PcapngReader::read_block() {
  std::array<std::byte, 8> head;
  const std::size_t got = input_(head);
  if (got == 0 && begun_) return false;
  if (got < head.size()) return Error{"the file is cut off between blocks"};
  type_ = static_cast<std::uint32_t>(number(std::span(head).first(4)));
  const auto length = static_cast<std::uint32_t>(number(std::span(head).last(4)));
  // A section may be of the other byte order; its type reads alike in both.
  auto done = type_ == kSection ? read_section(length)
              : begun_          ? read_body(length)
                                : Result<void>(Error{"the file does not begin with a section"});
  if (!done) return done.error();
  return true;
}

Result<void> PcapngReader::read_section(std::uint32_t length_as_read) {
  std::array<std::byte, 4> mark;
  if (input_(mark) < mark.size()) return Error{"the file is cut off in a section's header"};
  if (number(mark) != kByteOrder) {
    little_ = !little_;
    length_as_read = __builtin_bswap32(length_as_read);
    if (number(mark) != kByteOrder) return Error{"a section has no byte order"};
  }
  begun_ = true;
  interfaces_.clear();
  if (length_as_read < kFrame + mark.size()) return Error{"a section's header is too short"};
  return read_body(length_as_read - static_cast<std::uint32_t>(mark.size()));
}

Result<void> PcapngReader::read_body(std::uint32_t length) {
  if (length < kFrame || length > kMostBlock || length % 4 != 0)
    return Error{"a block has the impossible length " + std::to_string(length)};
  body_.resize(length - 8);
  if (input_(body_) < body_.size()) return Error{"the file is cut off in a block"};
  body_.resize(body_.size() - 4);
  return {};
}

void PcapngReader::read_option(std::uint16_t code, std::span<const std::byte> value,
                               Interface& into) const {
  if (code == kTimeResolution && !value.empty())
    into.ticks_a_second = ticks_of(std::to_integer<std::uint8_t>(value[0]));
  if (code == kTimeOffset && value.size() >= 8)
    into.offset = static_cast<std::int64_t>(number(value.first(8)));
}

Result<void> PcapngReader::add_interface() {
  if (body_.size() < 8) return Error{"an interface's block is too short"};
  if (interfaces_.size() == kMostInterfaces) return Error{"there are too many interfaces"};
  Interface interface { .link = half(0), .snaplen = word(4) };
  for (std::size_t at = 8; at + 4 <= body_.size();) {
    const std::uint16_t code = half(at);
    const std::size_t size = half(at + 2);
    if (code == 0 || at + 4 + size > body_.size()) break;
    read_option(code, part(at + 4, size), interface);
    at += 4 + padded(size);
  }
  if (interface.ticks_a_second == 0) return Error{"an interface's time resolution is too fine"};
  interfaces_.push_back(interface);
  return {};
}

bool PcapngReader::read_record(Record& record) const {
  if (type_ == kSimplePacket && body_.size() >= 4) {
    record = {.length = word(0), .data_at = 4};
    const std::uint32_t snaplen = interfaces_.empty() ? 0 : interfaces_[0].snaplen;
    record.captured = snaplen == 0 ? record.length : std::min(record.length, snaplen);
    return true;
  }
  if ((type_ != kPacket && type_ != kOldPacket) || body_.size() < 20) return false;
  record.interface = type_ == kPacket ? word(0) : half(0);
  record.ticks = std::uint64_t{word(4)} << 32 | word(8);
  record.captured = word(12);
  record.length = word(16);
  record.data_at = 20;
  return true;
}

Result<bool> PcapngReader::deliver(const Record& record, FilePacket& packet) {
  if (record.interface >= interfaces_.size())
    return Error{"a packet is of interface " + std::to_string(record.interface) +
                 ", which the section does not describe"};
  if (record.captured > body_.size() - record.data_at)
    return Error{"a packet is longer than its block"};
  const Interface& interface = interfaces_[record.interface];
  const auto link = known_link_type(interface.link);
  if (!link) {
    ++left_out_;
    unknown_link_ = interface.link;
    return false;
  }
  const std::uint64_t fraction = record.ticks % interface.ticks_a_second;
  const auto seconds = static_cast<std::int64_t>(record.ticks / interface.ticks_a_second);
  packet.link = *link;
  packet.packet = {};
  packet.packet.bytes = part(record.data_at, record.captured);
  packet.packet.length = std::max(record.length, record.captured);
  packet.packet.seconds = static_cast<std::uint32_t>(seconds + interface.offset);
  __extension__ using Wide = unsigned __int128;
  packet.packet.nanoseconds =
      static_cast<std::uint32_t>(Wide{fraction} * 1'000'000'000 / interface.ticks_a_second);
  return true;
}

Result<bool> PcapngReader::next(FilePacket& packet) {
  while (true) {
    const auto more = read_block();
    if (!more || !*more) return more;
    if (type_ == kInterface) {
      if (auto added = add_interface(); !added) return added.error();
      continue;
    }
    Record record;
    if (!read_record(record)) continue;
    const auto delivered = deliver(record, packet);
    if (!delivered || *delivered) return delivered;
  }
}

}  // namespace sidetap::capture
