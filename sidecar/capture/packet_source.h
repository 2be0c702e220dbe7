// The interface of packet sources. The pipeline reads a device and a file in the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "shared/result.h"
#include "sidecar/packet/bpf.h"
#include "sidecar/packet/captured_packet.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::capture {

/// Totals since the source was opened, in 64 bits even if the system's counters are smaller.
struct SourceCounts {
  std::uint64_t accepted = 0;  ///< Passed the kernel's filter, the dropped ones included.
  std::uint64_t dropped = 0;   ///< For want of room in the ring.
  std::uint64_t dropped_by_interface = 0;
};

/// One thread uses a source.
class PacketSource {
 public:
  virtual ~PacketSource() = default;

  virtual LinkType link_type() const = 0;
  /// Readable when there are packets. -1: a file, which is always readable.
  virtual int descriptor() const = 0;
  /// Hands over about `most` packets, if available, and returns their number; 0 means nothing now,
  /// or the end of a file. Error: the source is dead (the interface has gone) and must be reopened.
  virtual Result<std::size_t> read(PacketHandler& handler, std::size_t most) = 0;
  /// Replaces the kernel's filter in one step: no packet is lost between the old and the new.
  virtual Result<void> set_filter(std::span<const BpfInstruction> program) = 0;
  virtual SourceCounts counts() = 0;
  /// The index of the interface that the source is bound to. 0: all interfaces, or a file. -1: the
  /// interface was deleted or moved to another network namespace, and no more packets arrive.
  virtual int bound_index() const = 0;
  /// Much of its room is taken by what is not read yet. Never, where it cannot know.
  virtual bool is_filling() const { return false; }
  /// Packets of so many bytes are to come.
  virtual void expect(std::size_t /*longest*/) {}
  /// The size in bytes of packets that this source has no room for, but that one reopened with
  /// DeviceConfig::longest_packet would have. 0: there has been room for all packets.
  virtual std::size_t outgrown_by() const { return 0; }
};

/// How an interface is read.
enum class CaptureMethod : std::uint8_t {
  kAuto,     ///< The ring if it suits kernel and interface, otherwise libpcap.
  kRing,     ///< ring_source.h
  kLibpcap,  ///< pcap_source.h
};

struct DeviceConfig {
  CaptureMethod method = CaptureMethod::kAuto;
  const char* interface = "";
  std::uint32_t snaplen = 262'144;      ///< Bytes kept of each packet.
  std::size_t buffer_bytes = 4U << 20;  ///< Of the ring shared with the kernel.
  std::size_t longest_packet = 0;       ///< Bytes; more than the interface says that it has.
  unsigned block_timeout_ms = 5;        ///< A block that is not full is handed over after this.
  bool immediate = false;               ///< libpcap only: each packet is handed over at once.
  /// In force before the ring captures its first packet; libpcap gets it as soon as it captures.
  std::span<const BpfInstruction> filter;
  LinkType filter_link = LinkType::kEthernet;  ///< On another link layer the filter is left out.
};

}  // namespace sidetap::capture
