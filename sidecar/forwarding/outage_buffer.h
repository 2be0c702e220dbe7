// Keeps packets while no sensor takes them, up to a bound; the newest are turned away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "sidecar/packet/captured_packet.h"

namespace sidetap::forwarding {

class OutageBuffer {
 public:
  /// `capacity`: bytes of memory, taken as they are needed and given back when the last packet
  /// leaves. 0: keeps nothing.
  explicit OutageBuffer(std::size_t capacity) : capacity_(capacity) {}

  /// False when there is no room.
  bool keep(const capture::CapturedPacket& packet);
  /// Hands the oldest packet over, and forgets it. There must be one, and the handler keeps
  /// nothing.
  void take_oldest(capture::PacketHandler& handler);
  /// Forgets the oldest. There must be one.
  void drop_oldest();
  std::size_t packets() const { return packets_; }
  /// In use, for packets and what is noted of them.
  std::size_t bytes() const { return used_; }

 private:
  struct Record;
  Record oldest() const;

  std::size_t capacity_;
  std::unique_ptr<std::byte[]> bytes_;
  // Records stand one behind the other from begin_ to end_, or, when there was no more room behind,
  // from begin_ to wrap_ and on from the start to end_.
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t wrap_ = 0;
  bool wrapped_ = false;
  std::size_t used_ = 0;
  std::size_t packets_ = 0;
};

}  // namespace sidetap::forwarding
