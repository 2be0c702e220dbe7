// A packet that outlives the call in which its source handed it over.
#pragma once

#include <cstddef>
#include <vector>

#include "sidecar/packet/captured_packet.h"

namespace sidetap {

class StoredPacket {
 public:
  explicit StoredPacket(const capture::CapturedPacket& packet)
      : bytes_(packet.bytes.begin(), packet.bytes.end()), packet_(packet) {}

  std::size_t size() const { return bytes_.size(); }
  /// Refers to this object, whose bytes may be changed.
  capture::CapturedPacket whole() {
    packet_.bytes = bytes_;
    packet_.writable = bytes_;
    return packet_;
  }

 private:
  std::vector<std::byte> bytes_;
  capture::CapturedPacket packet_;
};

}  // namespace sidetap
