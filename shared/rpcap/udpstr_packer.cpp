#include "shared/rpcap/udpstr_packer.h"

#include <algorithm>

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

}  // namespace

UdpstrPacker::UdpstrPacker(std::size_t datagram_size, std::size_t capacity)
    : buffer_(std::make_unique_for_overwrite<std::byte[]>(std::max(capacity, datagram_size))),
      capacity_(std::max(capacity, datagram_size)),
      datagram_size_(std::max(datagram_size, kMinUdpstrDatagram)),
      runs_(capacity_ / datagram_size_ + 1) {}

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

void UdpstrPacker::set_datagram_size(std::size_t bytes) {
  datagram_size_ = std::clamp(bytes, kMinUdpstrDatagram, capacity_);
}

}  // namespace sidetap::rpcap
