// Keeps packets while no sensor takes them, up to a bound; the newest are turned away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "sidecar/capture/packet_source.h"

namespace sidetap::forwarding {

class OutageBuffer {
 public:
  /// `capacity`: bytes of memory, taken as they are needed. 0: keeps nothing.
  explicit OutageBuffer(std::size_t capacity) : capacity_(capacity) {}

  /// False when there is no room.
  bool keep(const capture::CapturedPacket& packet);
  /// Hands every packet over in the order they came, and forgets them.
  void replay(capture::PacketHandler& handler);
  std::size_t packets() const { return packets_; }

 private:
  struct Record;
  std::size_t capacity_;
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t used_ = 0;
  std::size_t packets_ = 0;
};

}  // namespace sidetap::forwarding
