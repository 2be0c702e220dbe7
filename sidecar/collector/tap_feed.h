// The packets of one tap, from the bytes of its datagrams or its stream. Tolerates losses and
// hostile input. No socket and no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shared/result.h"
#include "shared/rpcap/messages.h"
#include "shared/rpcap/udpstr_unpacker.h"
#include "sidecar/collector/tap_counts.h"
#include "sidecar/packet/bpf.h"
#include "sidecar/packet/captured_packet.h"

namespace sidetap::collector {

/// What all feeds of a thread share.
struct FeedSink {
  capture::PacketHandler* handler = nullptr;      ///< Set it before bytes are fed.
  std::vector<capture::BpfInstruction> filter{};  ///< Checked. Empty: every packet.
  std::uint64_t delivered = 0;                    ///< Packets that the handler has got.
  std::uint64_t missing = 0;                      ///< As TapCounts::missing_packets, of all feeds.
};

/// One thread. It stays where it is, because packets come back to it.
class TapFeed {
 public:
  /// Packets carry `origin`. `most`: bytes of a packet; a larger one is malformed. `sink` outlives
  /// the feed.
  TapFeed(std::uint32_t origin, std::uint32_t most, FeedSink& sink);
  TapFeed(const TapFeed&) = delete;
  TapFeed& operator=(const TapFeed&) = delete;

  /// Takes a whole datagram, packed or plain, as its type says.
  void on_datagram(std::span<const std::byte> datagram);
  /// Takes the whole messages at the beginning of `bytes`, and returns their size in bytes; what is
  /// left is to come again with its rest. Error: it is no stream of packets.
  Result<std::size_t> on_stream(std::span<const std::byte> bytes);
  /// The stream has ended in the middle of a message.
  void note_broken() { ++counts_.broken_packets; }

  /// Whether these bytes could begin a tap's datagram.
  static bool may_be_datagram(std::span<const std::byte> bytes);
  /// Whether these bytes are the first datagram of a capture, by their number.
  static bool begins_capture(std::span<const std::byte> bytes);
  /// As of UdpstrUnpacker.
  std::size_t held() const { return unpacker_.held(); }
  void trim() { unpacker_.trim(); }
  void give_up_packet() { unpacker_.give_up_packet(); }
  TapCounts counts() const;

  /// A larger gap in the numbers is none: nobody loses so many at once.
  static constexpr std::int32_t kLargestGap = 1 << 24;

 private:
  void deliver(const rpcap::PacketHeader& header, std::span<const std::byte> bytes);
  void follow(std::uint32_t number);
  void take_plain(std::span<const std::byte> datagram);

  const std::uint32_t origin_;
  const std::uint32_t most_;
  FeedSink& sink_;
  rpcap::UdpstrUnpacker unpacker_;
  std::uint32_t last_number_ = 0;
  std::uint64_t not_lost_ = 0;  // datagrams that the unpacker counts as lost in a jump
  TapCounts counts_;            // without what the unpacker counts
};

}  // namespace sidetap::collector
