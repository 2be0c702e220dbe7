// Packets as a tap packs them, and a handler that keeps what comes out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shared/rpcap/codec.h"
#include "shared/rpcap/udpstr_packer.h"
#include "sidecar/packet/captured_packet.h"

namespace sidetap::collector {

using PacketBytes = std::vector<std::byte>;

inline rpcap::PacketHeader header_of_packet(std::uint32_t number, std::size_t size) {
  return {.seconds = 1'000 + number,
          .microseconds = 5,
          .captured = static_cast<std::uint32_t>(size),
          .length = static_cast<std::uint32_t>(size),
          .number = number};
}

/// The datagrams of packets number `first` to `last`, whose bytes all hold the packet's number.
inline std::vector<PacketBytes> packed_datagrams(std::uint32_t first, std::uint32_t last,
                                                 std::size_t size, std::size_t datagram = 1472) {
  rpcap::UdpstrPacker packer(datagram, 1 << 20);
  for (std::uint32_t i = first; i <= last; ++i) {
    const PacketBytes body(size, static_cast<std::byte>(i));
    packer.add(header_of_packet(i, size), body, {}, [] {});
  }
  packer.finish();
  std::vector<PacketBytes> datagrams;
  for (const auto& run : packer.runs()) {
    for (std::size_t at = 0; at < run.size; at += run.datagram) {
      const auto* const begin = packer.data() + run.offset + at;
      datagrams.emplace_back(begin, begin + std::min(run.datagram, run.size - at));
    }
  }
  return datagrams;
}

/// One message of type PACKET, as on a stream and in a plain datagram.
inline PacketBytes packet_message(const rpcap::PacketHeader& header, std::size_t size) {
  PacketBytes bytes(rpcap::kHeaderSize + rpcap::kPacketHeaderSize + size,
                    static_cast<std::byte>(header.number));
  rpcap::encode_header(
      {.version = 0,
       .type = rpcap::MessageType::kPacket,
       .value = 0,
       .payload_size = static_cast<std::uint32_t>(rpcap::kPacketHeaderSize + size)},
      std::span<std::byte, 8>(bytes.data(), 8));
  rpcap::encode_packet_header(header, std::span<std::byte, 20>(bytes.data() + 8, 20));
  return bytes;
}
inline PacketBytes packet_message(std::uint32_t number, std::size_t size) {
  return packet_message(header_of_packet(number, size), size);
}

struct KeptPacket {
  std::uint32_t origin = 0;
  std::uint32_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  PacketBytes bytes{};
};

class PacketKeeper final : public capture::PacketHandler {
 public:
  void on_packet(const capture::CapturedPacket& packet) override {
    packets.push_back({packet.origin,
                       packet.seconds,
                       packet.nanoseconds,
                       {packet.bytes.begin(), packet.bytes.end()}});
  }
  std::vector<KeptPacket> packets;
};

}  // namespace sidetap::collector
