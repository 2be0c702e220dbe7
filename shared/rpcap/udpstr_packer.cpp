#include "shared/rpcap/udpstr_packer.h"

#include <algorithm>
#include <utility>

namespace sidetap::rpcap {
namespace {

void put16(std::byte* at, std::uint32_t value) {
  at[0] = static_cast<std::byte>(value >> 8);
  at[1] = static_cast<std::byte>(value);
}
void put32(std::byte* at, std::uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}

std::uint32_t get16(const std::byte* at) {
  return std::to_integer<std::uint32_t>(at[0]) << 8 | std::to_integer<std::uint32_t>(at[1]);
}
std::uint32_t get32(const std::byte* at) { return get16(at) << 16 | get16(at + 2); }

}  // namespace

UdpstrPacker::UdpstrPacker(std::size_t datagram_size, std::size_t batch, std::size_t capacity)
    : batch_(std::max(batch, datagram_size)),
      capacity_(std::max(capacity, batch_)),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(capacity_)),
      datagram_size_(std::max(datagram_size, kMinUdpstrDatagram)),
      runs_(batch_ / datagram_size_ + 1) {}

void UdpstrPacker::open_datagram() {
  start_ = used_;
  limit_ = start_ + datagram_size_;
  std::byte* at = buffer_.get() + start_;
  at[0] = std::byte{0};
  at[1] = static_cast<std::byte>(MessageType::kUdpstrPacket);
  put16(at + 2, kNoPacketHeader);
  put32(at + 4, seqno_++);
  used_ += kUdpstrHeaderSize;
  open_ = true;
  has_packet_header_ = false;
}

void UdpstrPacker::note_first_header() {
  put16(buffer_.get() + start_ + 2, static_cast<std::uint32_t>(used_ - start_));
  has_packet_header_ = true;
}

void UdpstrPacker::finish() {
  if (!open_) return;
  open_ = false;
  runs_.add(start_, used_ - start_, ended_, in_packet_);
  ended_ = 0;
}

void UdpstrPacker::clear() {
  used_ = 0;
  runs_.clear();
}

bool UdpstrPacker::has_room_for(std::size_t captured) const {
  // The first datagram may have no room for the packet's header, and the last is not full.
  const std::size_t stream = kPacketHeaderSize + captured;
  const std::size_t datagrams = stream / (datagram_size_ - kUdpstrHeaderSize) + 2;
  return capacity_ - used_ >= datagrams * datagram_size_;
}

UdpstrPacker::Unsent UdpstrPacker::take_back(std::size_t run, std::size_t datagram) {
  Unsent unsent;
  unsent.goes_on = in_packet_;
  bool has_header = false;
  bool first = true;
  for (; run < runs().size(); ++run, datagram = 0) {
    const net::DatagramRun& each = runs()[run];
    for (std::size_t at = datagram * each.datagram; at < each.size; at += each.datagram) {
      const std::byte* const bytes = buffer_.get() + each.offset + at;
      const std::size_t size = std::min(each.datagram, each.size - at);
      if (std::exchange(first, false)) seqno_ = get32(bytes + 4);
      const std::uint32_t header = get16(bytes + 2);
      if (!has_header && header != kNoPacketHeader) {
        unsent.tail = unsent.stream.size() + header - kUdpstrHeaderSize;
        has_header = true;
      }
      unsent.stream.insert(unsent.stream.end(), bytes + kUdpstrHeaderSize, bytes + size);
    }
  }
  if (!has_header) unsent.tail = unsent.stream.size();
  clear();
  return unsent;
}

void UdpstrPacker::set_datagram_size(std::size_t bytes) {
  datagram_size_ = std::clamp(bytes, kMinUdpstrDatagram, batch_);
}

}  // namespace sidetap::rpcap
