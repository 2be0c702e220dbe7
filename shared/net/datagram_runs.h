// Groups consecutive datagrams of a buffer so that each group takes one send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace sidetap::net {

/// Neighbouring datagrams of one size; the last may be shorter. One send with UDP_SEGMENT takes
/// them all (udp(7)).
struct DatagramRun {
  std::size_t offset = 0;      ///< In the buffer.
  std::size_t size = 0;        ///< Bytes of the whole run.
  std::size_t datagram = 0;    ///< Bytes of each.
  std::uint32_t count = 0;     ///< Datagrams.
  std::uint32_t packets = 0;   ///< Packets whose last byte is in this run.
  bool splits_packet = false;  ///< Its last packet continues in the next run.
};

/// Limits of one send: the kernel limits the number of segments and the size of a datagram.
inline constexpr std::uint32_t kMaxRunDatagrams = 64;
inline constexpr std::size_t kMaxRunBytes = 65'000;

class DatagramRuns {
 public:
  explicit DatagramRuns(std::size_t expected) { runs_.reserve(expected); }

  /// Adds a complete datagram at `offset`, directly after the previous one.
  void add(std::size_t offset, std::size_t bytes, std::uint32_t packets, bool splits_packet) {
    if (!open_ || bytes > runs_.back().datagram || runs_.back().count == kMaxRunDatagrams ||
        runs_.back().size + bytes > kMaxRunBytes)
      runs_.push_back({.offset = offset, .datagram = bytes});
    DatagramRun& run = runs_.back();
    run.size += bytes;
    ++run.count;
    run.packets += packets;
    run.splits_packet = splits_packet;
    open_ = bytes == run.datagram;
  }
  std::span<const DatagramRun> all() const { return runs_; }
  /// Discards the first `count` runs, and moves the bytes of the others to the front of `buffer`,
  /// which the offsets refer to. Returns how many bytes those are.
  std::size_t discard(std::size_t count, std::byte* buffer) {
    runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(count));
    if (runs_.empty()) {
      open_ = false;
      return 0;
    }
    const std::size_t begin = runs_.front().offset;
    const std::size_t size = runs_.back().offset + runs_.back().size - begin;
    if (begin != 0) {
      std::memmove(buffer, buffer + begin, size);
      for (DatagramRun& run : runs_) run.offset -= begin;
    }
    return size;
  }
  void clear() {
    runs_.clear();
    open_ = false;
  }

 private:
  std::vector<DatagramRun> runs_;
  bool open_ = false;  // the last run accepts more datagrams
};

}  // namespace sidetap::net
