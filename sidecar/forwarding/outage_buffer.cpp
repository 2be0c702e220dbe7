#include "sidecar/forwarding/outage_buffer.h"

#include <cstring>

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
  if (capacity_ - used_ < size) return false;
  if (!bytes_) bytes_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
  const Record record{static_cast<std::uint32_t>(packet.bytes.size()), packet.length,
                      packet.seconds, packet.nanoseconds, packet.offload};
  std::memcpy(bytes_.get() + used_, &record, sizeof record);
  if (!packet.bytes.empty())
    std::memcpy(bytes_.get() + used_ + sizeof record, packet.bytes.data(), packet.bytes.size());
  used_ += size;
  ++packets_;
  return true;
}

void OutageBuffer::replay(capture::PacketHandler& handler) {
  // Taken away first: what the handler keeps meanwhile goes into a new one.
  const auto bytes = std::move(bytes_);
  const std::size_t end = used_;
  used_ = packets_ = 0;
  for (std::size_t at = 0; at < end;) {
    Record record;
    std::memcpy(&record, bytes.get() + at, sizeof record);
    at += sizeof record;
    capture::CapturedPacket packet;
    packet.bytes = {bytes.get() + at, record.captured};
    packet.length = record.length;
    packet.seconds = record.seconds;
    packet.nanoseconds = record.nanoseconds;
    packet.offload = record.offload;
    handler.on_packet(packet);
    at += record.captured;
  }
}

}  // namespace sidetap::forwarding
