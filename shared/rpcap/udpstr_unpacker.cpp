#include "shared/rpcap/udpstr_unpacker.h"

#include <algorithm>

#include "shared/rpcap/codec.h"
#include "shared/rpcap/udpstr_packer.h"

namespace sidetap::rpcap {
namespace {

std::uint32_t number16(std::span<const std::byte> b, std::size_t at) {
  return std::to_integer<std::uint32_t>(b[at]) << 8 | std::to_integer<std::uint32_t>(b[at + 1]);
}

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
  const bool begins_packet = first != kNoPacketHeader;
  std::size_t at = kUdpstrHeaderSize;
  if (in_packet_) {
    const std::size_t wanted = header_.captured - partial_.size();
    const std::size_t here = std::min(wanted, datagram.size() - at);
    const auto rest = datagram.subspan(at, here);
    partial_.insert(partial_.end(), rest.begin(), rest.end());
    at += here;
    if (here == wanted) {
      in_packet_ = false;
      ++counts_.packets;
      deliver_(header_, partial_);
    }
  } else if (!in_sync_ && begins_packet && first >= at) {
    at = std::min(first, datagram.size());
    in_sync_ = true;
  }
  if (!in_sync_) return;
  // The sender's word on where the first header is must agree with where the stream came to.
  const bool agrees = at == datagram.size() ? (!begins_packet || first == at)
                                            : (begins_packet && first == at && !in_packet_);
  if (!agrees || !read_packets(datagram.subspan(at))) {
    ++counts_.malformed;
    lose_sync();
  }
}

bool UdpstrUnpacker::follow(std::uint32_t seqno) {
  // The difference as a signed number, since sequence numbers wrap.
  const auto ahead = expected_ ? static_cast<std::int32_t>(seqno - *expected_) : 0;
  if (ahead < 0) {
    ++counts_.late_datagrams;
    return false;
  }
  if (ahead > 0) {
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
    if (header.captured > kMaxPacketBytes || header.captured > header.length) return false;
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
