#include "sidecar/collector/tap_feed.h"

#include <algorithm>

#include "shared/rpcap/codec.h"
#include "shared/rpcap/udpstr_packer.h"
#include "shared/tap/filter_expression.h"

namespace sidetap::collector {
namespace {

constexpr std::uint32_t kMostMicroseconds = 999'999;

rpcap::MessageType type_of(std::span<const std::byte> bytes) {
  return static_cast<rpcap::MessageType>(std::to_integer<std::uint8_t>(bytes[1]));
}

}  // namespace

TapFeed::TapFeed(std::uint32_t origin, std::uint32_t most, FeedSink& sink)
    : origin_(origin),
      most_(most),
      sink_(sink),
      unpacker_([this](const rpcap::PacketHeader& header,
                       std::span<const std::byte> bytes) { deliver(header, bytes); },
                most) {}

bool TapFeed::may_be_datagram(std::span<const std::byte> bytes) {
  static_assert(rpcap::kHeaderSize == rpcap::kUdpstrHeaderSize);
  if (bytes.size() < rpcap::kHeaderSize || bytes[0] != std::byte{0}) return false;
  const rpcap::MessageType type = type_of(bytes);
  return type == rpcap::MessageType::kUdpstrPacket || type == rpcap::MessageType::kPacket;
}

bool TapFeed::begins_capture(std::span<const std::byte> bytes) {
  if (!may_be_datagram(bytes)) return false;
  if (type_of(bytes) == rpcap::MessageType::kUdpstrPacket) {
    // Datagrams count from 0.
    const auto number = bytes.subspan(4, 4);
    return std::all_of(number.begin(), number.end(), [](std::byte b) { return b == std::byte{0}; });
  }
  // Packets count from 1.
  return bytes.size() >= rpcap::kHeaderSize + rpcap::kPacketHeaderSize &&
         rpcap::decode_packet_header(
             bytes.subspan(rpcap::kHeaderSize).first<rpcap::kPacketHeaderSize>())
                 .number == 1;
}

void TapFeed::on_datagram(std::span<const std::byte> datagram) {
  if (datagram.size() >= rpcap::kHeaderSize && type_of(datagram) == rpcap::MessageType::kPacket) {
    return take_plain(datagram);
  }
  const std::uint64_t before = unpacker_.counts().lost_datagrams;
  unpacker_.add(datagram);
  const std::uint64_t lost = unpacker_.counts().lost_datagrams - before;
  if (lost > kLargestGap) {
    not_lost_ += lost;
    ++counts_.restarts;
  }
}

void TapFeed::take_plain(std::span<const std::byte> datagram) {
  ++counts_.datagrams;
  const auto taken = on_stream(datagram);
  // An Error has been counted.
  if (taken && *taken != datagram.size()) ++counts_.malformed;
}

Result<std::size_t> TapFeed::on_stream(std::span<const std::byte> bytes) {
  constexpr std::size_t kHeaders = rpcap::kHeaderSize + rpcap::kPacketHeaderSize;
  std::size_t at = 0;
  while (bytes.size() - at >= kHeaders) {
    const auto message = rpcap::decode_header(bytes.subspan(at).first<rpcap::kHeaderSize>());
    const auto header = rpcap::decode_packet_header(
        bytes.subspan(at + rpcap::kHeaderSize).first<rpcap::kPacketHeaderSize>());
    if (message.version != 0 || message.type != rpcap::MessageType::kPacket ||
        header.captured > most_ || header.captured > header.length ||
        message.payload_size != rpcap::kPacketHeaderSize + header.captured) {
      ++counts_.malformed;
      return Error{"the tap sends something other than packets"};
    }
    if (bytes.size() - at - kHeaders < header.captured) break;
    deliver(header, bytes.subspan(at + kHeaders, header.captured));
    at += kHeaders + header.captured;
  }
  return at;
}

void TapFeed::follow(std::uint32_t number) {
  // A signed difference, because the numbers wrap.
  const auto ahead = static_cast<std::int32_t>(number - last_number_ - 1);
  if (ahead > kLargestGap || ahead < -kLargestGap) {
    ++counts_.restarts;
  } else if (ahead > 0) {
    counts_.missing_packets += static_cast<std::uint32_t>(ahead);
    sink_.missing += static_cast<std::uint32_t>(ahead);
  } else if (ahead < 0) {
    return;  // late
  }
  last_number_ = number;
}

void TapFeed::deliver(const rpcap::PacketHeader& header, std::span<const std::byte> bytes) {
  ++counts_.packets;
  counts_.bytes += bytes.size();
  if (header.number != last_number_ + 1) [[unlikely]] {
    follow(header.number);
  } else {
    last_number_ = header.number;
  }
  if (!sink_.filter.empty() && !tap::filter_accepts(sink_.filter, bytes, header.length)) {
    ++counts_.filtered;
    return;
  }
  capture::CapturedPacket packet;
  packet.bytes = bytes;
  packet.length = header.length;
  packet.seconds = header.seconds;
  packet.nanoseconds = std::min(header.microseconds, kMostMicroseconds) * 1'000;
  packet.offload.known = true;  // the tap has done what was left for the card to do
  packet.origin = origin_;
  ++sink_.delivered;
  sink_.handler->on_packet(packet);
}

TapCounts TapFeed::counts() const {
  const rpcap::UdpstrCounts& packed = unpacker_.counts();
  TapCounts counts = counts_;
  counts.datagrams += packed.datagrams;
  counts.lost_datagrams += packed.lost_datagrams - not_lost_;
  counts.late_datagrams += packed.late_datagrams;
  counts.broken_packets += packed.broken_packets;
  counts.malformed += packed.malformed;
  counts.restarts += packed.restarts;
  return counts;
}

}  // namespace sidetap::collector
