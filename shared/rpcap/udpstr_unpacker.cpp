#include "shared/rpcap/udpstr_unpacker.h"

#include <algorithm>

#include "shared/rpcap/codec.h"
#include "shared/rpcap/udpstr_packer.h"

namespace sidetap::rpcap {
namespace {

std::uint32_t number16(std::span<const std::byte> b, std::size_t at) {
  return std::to_integer<std::uint32_t>(b[at]) << 8 | std::to_integer<std::uint32_t>(b[at + 1]);
}

/// Whether there is room for a packet header at the announced offset.
bool fits(std::size_t first, std::size_t datagram) {
  return first == kNoPacketHeader ||
         (first >= kUdpstrHeaderSize && first + kPacketHeaderSize <= datagram);
}

/// A datagram that is further behind is not late: the sender has restarted.
constexpr std::int32_t kReorderWindow = 4096;

}  // namespace

void UdpstrUnpacker::add(std::span<const std::byte> datagram) {
  ++counts_.datagrams;
  if (datagram.size() < kUdpstrHeaderSize || datagram[0] != std::byte{0} ||
      datagram[1] != static_cast<std::byte>(MessageType::kUdpstrPacket)) {
    ++counts_.malformed;
    return;
  }
  if (!follow(number16(datagram, 4) << 16 | number16(datagram, 6))) return;

  const std::size_t first = number16(datagram, 2);
  if (!fits(first, datagram.size()) || !read(datagram, first)) {
    ++counts_.malformed;
    lose_sync();
  }
}

bool UdpstrUnpacker::read(std::span<const std::byte> datagram, std::size_t first) {
  const bool begins_packet = first != kNoPacketHeader;
  if (!in_sync_) {
    if (!begins_packet) return true;
    in_sync_ = true;
    return read_packets(datagram.subspan(first));
  }
  // The announced offset of the first header must match the position of the stream.
  const std::size_t wanted = in_packet_ ? header_.captured - partial_.size() : 0;
  const std::size_t end = kUdpstrHeaderSize + wanted;
  if (begins_packet ? first != end : end < datagram.size()) return false;
  if (in_packet_) {
    const auto rest = datagram.subspan(kUdpstrHeaderSize)
                          .first(std::min(wanted, datagram.size() - kUdpstrHeaderSize));
    partial_.insert(partial_.end(), rest.begin(), rest.end());
    if (rest.size() < wanted) return true;
    in_packet_ = false;
    ++counts_.packets;
    deliver_(header_, partial_);
  }
  return read_packets(datagram.subspan(end));
}

bool UdpstrUnpacker::follow(std::uint32_t seqno) {
  // A signed difference, because sequence numbers wrap.
  const auto ahead = expected_ ? static_cast<std::int32_t>(seqno - *expected_) : 0;
  if (ahead < -kReorderWindow) {
    ++counts_.restarts;
    lose_sync();
  } else if (ahead < 0) {
    ++counts_.late_datagrams;
    return false;
  } else if (ahead > 0) {
    counts_.lost_datagrams += static_cast<std::uint32_t>(ahead);
    lose_sync();
  }
  expected_ = seqno + 1;
  return true;
}

void UdpstrUnpacker::lose_sync() {
  if (in_packet_) ++counts_.broken_packets;
  in_packet_ = false;
  in_sync_ = false;
}

bool UdpstrUnpacker::read_packets(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (bytes.size() < kPacketHeaderSize) return false;
    const PacketHeader header = decode_packet_header(bytes.first<kPacketHeaderSize>());
    if (header.captured > most_ || header.captured > header.length) return false;
    bytes = bytes.subspan(kPacketHeaderSize);
    if (bytes.size() < header.captured) {
      header_ = header;
      partial_.assign(bytes.begin(), bytes.end());
      in_packet_ = true;
      return true;
    }
    ++counts_.packets;
    deliver_(header, bytes.first(header.captured));
    bytes = bytes.subspan(header.captured);
  }
  return true;
}

}  // namespace sidetap::rpcap
