#include "sidecar/forwarding/outage_buffer.h"

#include <cstring>
#include <utility>

namespace sidetap::forwarding {

// Copied in and out, so its place in the buffer needs no alignment.
struct OutageBuffer::Record {
  std::uint32_t captured;
  std::uint32_t length;
  std::uint32_t seconds;
  std::uint32_t nanoseconds;
  capture::Offload offload;
};

bool OutageBuffer::keep(const capture::CapturedPacket& packet) {
  const std::size_t size = sizeof(Record) + packet.bytes.size();
  if (!wrapped_ && capacity_ - end_ < size && begin_ >= size) {
    wrap_ = std::exchange(end_, 0);
    wrapped_ = true;
  }
  if ((wrapped_ ? begin_ : capacity_) - end_ < size) return false;
  if (!bytes_) bytes_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
  const Record record{static_cast<std::uint32_t>(packet.bytes.size()), packet.length,
                      packet.seconds, packet.nanoseconds, packet.offload};
  std::memcpy(bytes_.get() + end_, &record, sizeof record);
  if (!packet.bytes.empty())
    std::memcpy(bytes_.get() + end_ + sizeof record, packet.bytes.data(), packet.bytes.size());
  end_ += size;
  used_ += size;
  ++packets_;
  return true;
}

OutageBuffer::Record OutageBuffer::oldest() const {
  Record record;
  std::memcpy(&record, bytes_.get() + begin_, sizeof record);
  return record;
}

void OutageBuffer::take_oldest(capture::PacketHandler& handler) {
  const Record record = oldest();
  capture::CapturedPacket packet;
  packet.bytes = {bytes_.get() + begin_ + sizeof record, record.captured};
  packet.length = record.length;
  packet.seconds = record.seconds;
  packet.nanoseconds = record.nanoseconds;
  packet.offload = record.offload;
  handler.on_packet(packet);
  drop_oldest();
}

void OutageBuffer::drop_oldest() {
  const std::size_t size = sizeof(Record) + oldest().captured;
  begin_ += size;
  used_ -= size;
  if (wrapped_ && begin_ == wrap_) {
    begin_ = 0;
    wrapped_ = false;
  }
  if (--packets_ != 0) return;
  begin_ = end_ = 0;
  bytes_.reset();
}

}  // namespace sidetap::forwarding
