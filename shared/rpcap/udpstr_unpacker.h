// Unpacks udpstr datagrams (RPCAP message type 110; see udpstr_packer.h for the format) into
// packets. Tolerates losses and hostile input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "shared/rpcap/messages.h"

namespace sidetap::rpcap {

/// A packet that claims to be larger is malformed. The largest real ones (BIG TCP) are smaller.
inline constexpr std::uint32_t kMaxPacketBytes = 1U << 20;

struct UdpstrCounts {
  std::uint64_t datagrams = 0;
  std::uint64_t lost_datagrams = 0;  ///< From gaps in the sequence numbers.
  std::uint64_t late_datagrams = 0;  ///< Out of order: not used, and already counted as lost.
  std::uint64_t restarts = 0;        ///< The numbers fell back far: the sender restarted.
  std::uint64_t malformed = 0;       ///< Datagrams that violate the format.
  std::uint64_t packets = 0;
  std::uint64_t broken_packets = 0;  ///< Began, but the rest was lost.
};

class UdpstrUnpacker {
 public:
  /// The packet's bytes are valid only during the call.
  using Deliver = std::function<void(const PacketHeader&, std::span<const std::byte>)>;

  /// `most`: bytes of a packet; one that claims to be larger is malformed.
  explicit UdpstrUnpacker(Deliver deliver, std::uint32_t most = kMaxPacketBytes)
      : deliver_(std::move(deliver)), most_(most) {}

  /// Takes one whole datagram, including its header. After a gap, unpacking resumes at the first
  /// packet header that begins in a datagram.
  void add(std::span<const std::byte> datagram);
  const UdpstrCounts& counts() const { return counts_; }
  /// Memory for a packet that is not complete, in bytes. Never more than about twice a packet.
  std::size_t held() const { return partial_.capacity(); }
  /// Frees this memory if no packet needs it.
  void trim() {
    if (!in_packet_) std::vector<std::byte>().swap(partial_);
  }
  /// Gives up the packet that is not complete, and frees its memory.
  void give_up_packet() {
    lose_sync();
    trim();
  }

 private:
  void lose_sync();
  bool follow(std::uint32_t seqno);
  bool read(std::span<const std::byte> datagram, std::size_t first);
  bool read_packets(std::span<const std::byte> bytes);

  Deliver deliver_;
  std::uint32_t most_;
  UdpstrCounts counts_;
  std::optional<std::uint32_t> expected_;
  bool in_sync_ = false;
  bool in_packet_ = false;  // partial_ waits for more
  PacketHeader header_;     // of the packet in partial_
  std::vector<std::byte> partial_;
};

}  // namespace sidetap::rpcap
