// Holds packets that cannot be sent at once, in order and up to a limit: in a burst, while a sensor
// stalls, before the first session, and in an outage. When it is full, it rejects new packets.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "sidecar/packet/captured_packet.h"

namespace sidetap::forwarding {

/// One thread.
class Backlog {
 public:
  /// `capacity`: bytes of memory at most; 0: keeps nothing. Memory becomes resident as it is used,
  /// and stays so until trim().
  explicit Backlog(std::size_t capacity);
  ~Backlog();
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;

  struct Kept {
    capture::CapturedPacket packet;  ///< Without a direction. Valid until drop_oldest().
    bool alone = false;
  };

  /// False: there is no room. oldest() returns `alone` with the packet.
  bool keep(const capture::CapturedPacket& packet, bool alone = false);
  /// There must be one.
  Kept oldest() const;
  /// There must be one.
  void drop_oldest();
  std::size_t packets() const { return packets_; }
  /// In use, for packets and their records.
  std::size_t bytes() const { return used_; }
  /// Returns the memory that holds no packet to the system.
  void trim();

 private:
  struct Record;
  /// A piece of the memory. Records follow each other up to `end`; no record spans two chunks.
  struct Chunk {
    std::byte* memory;
    std::size_t end;
  };
  bool begin_chunk();

  std::size_t chunk_bytes_;
  void* mapping_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::deque<Chunk> chunks_;           // that hold packets, the oldest first
  std::vector<std::byte*> free_;       // that have been used, and are resident
  std::vector<std::byte*> untouched_;  // that are not resident
  std::size_t begin_ = 0;              // of the oldest record, in its chunk
  std::size_t used_ = 0;
  std::size_t packets_ = 0;
};

}  // namespace sidetap::forwarding
