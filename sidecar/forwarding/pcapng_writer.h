// Writes the blocks of pcapng (draft-ietf-opsawg-pcapng), in this machine's byte order. Pure: bytes
// out.
//
// A file or stream begins with a section. Then an interface may be added at any time before its
// first packet: readers number the interfaces of a section in the order in which they come, from 0.
// The caller hands these numbers out. All interfaces have one link layer and one snapshot length,
// because libpcap, and what reads with it, refuses anything else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/net/ip_address.h"

namespace sidetap::forwarding {

/// A name that readers show for an address.
struct NamedAddress {
  net::IpAddress address{};
  std::string name{};
};

/// A packet's record without its bytes.
struct PacketRecord {
  std::uint32_t interface = 0;
  std::uint32_t seconds = 0;  ///< Since 1970.
  std::uint32_t nanoseconds = 0;
  std::uint32_t captured = 0;  ///< Bytes that are written.
  std::uint32_t length = 0;    ///< Bytes on the wire.
};

/// What stands before and behind a packet's bytes.
struct RecordFrame {
  std::array<std::byte, 28> head_bytes{};
  std::array<std::byte, 7> tail_bytes{};
  std::size_t head_size = 0;
  std::size_t tail_size = 0;

  std::span<const std::byte> head() const { return std::span(head_bytes).first(head_size); }
  std::span<const std::byte> tail() const { return std::span(tail_bytes).first(tail_size); }
};

/// Of one interface, since the file or stream began.
struct InterfaceTotals {
  std::uint64_t received = 0;
  std::uint64_t dropped = 0;  ///< Of them.
};

class PcapngWriter {
 public:
  /// Longer texts are cut, between two characters of UTF-8. A name resolution block has room for
  /// 64 KiB a record, an option as well.
  static constexpr std::size_t kMostName = 255;
  static constexpr std::size_t kMostDescription = 1024;
  /// Names of one block; more take several.
  static constexpr std::size_t kMostNames = 1024;
  static constexpr std::size_t kStatisticsSize = 52;
  static constexpr std::size_t kPacketHead = 28;

  /// `link_type` is a LINKTYPE_ number.
  PcapngWriter(std::uint16_t link_type, std::uint32_t snaplen)
      : link_type_(link_type), snaplen_(snaplen) {}

  // Each appends whole blocks to `out`. Control characters in texts become underscores.

  /// Everything that follows belongs to this section, of unknown length. Interfaces count from 0.
  static void add_section(std::vector<std::byte>& out, std::string_view application);
  /// With time stamps in nanoseconds. An empty text is left out.
  void add_interface(std::vector<std::byte>& out, std::string_view name,
                     std::string_view description) const;
  /// An empty name is left out, and without any there is no block.
  static void add_names(std::vector<std::byte>& out, std::span<const NamedAddress> names);
  /// `time`: of the totals, in nanoseconds since 1970. Has kStatisticsSize bytes.
  static void add_statistics(std::vector<std::byte>& out, std::uint32_t interface,
                             std::uint64_t time, const InterfaceTotals& totals);

  /// For a writer that does not copy the packet's bytes.
  static RecordFrame frame(const PacketRecord& packet);
  /// Bytes of the block of a packet of which so many are written.
  static constexpr std::size_t size_of_packet(std::uint32_t captured) {
    return kPacketHead + (std::size_t{captured} + 3) / 4 * 4 + 4;
  }

 private:
  std::uint16_t link_type_;
  std::uint32_t snaplen_;
};

}  // namespace sidetap::forwarding
