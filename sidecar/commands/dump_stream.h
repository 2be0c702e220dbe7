// Writes a dump to a file, or to a pipe whose reader may be slow or go away, within bounds.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sidecar/commands/dump_options.h"
#include "sidecar/forwarding/capture_format.h"

namespace sidetap {

/// One thread. Waits for a slow reader meanwhile, as the kernel's ring then drops what is too much;
/// but never longer than `may_wait` allows. The program must ignore SIGPIPE.
class DumpStream {
 public:
  enum class State : std::uint8_t {
    kOpen,
    kFull,    ///< A bound is reached.
    kGone,    ///< Nobody reads any more, or not in time.
    kFailed,  ///< See failure().
  };

  /// `descriptor` must outlive the stream. `may_wait` is asked several times a second while the
  /// reader is slow; false gives up what it has not taken.
  DumpStream(int descriptor, const DumpBounds& bounds, std::function<bool()> may_wait);

  /// Call it once, first.
  void begin(const forwarding::CaptureHeading& heading);
  /// A packet in two parts, either of which may be empty. Reaches a bound instead of going beyond
  /// it. Does nothing unless the stream is open.
  void add(const forwarding::PacketRecord& packet, std::span<const std::byte> head,
           std::span<const std::byte> body);
  /// Writes what waits.
  void flush();
  /// The last call: statistics of each interface of the heading, in nanoseconds since 1970. What a
  /// bound has ended is ended in good order too.
  void end(std::uint64_t time, std::span<const forwarding::InterfaceTotals> interfaces);
  /// Notices that the reader has gone although nothing is written. `revents` is of poll(2) on
  /// descriptor() with no events.
  void note(short revents);

  State state() const { return state_; }
  bool is_open() const { return state_ == State::kOpen; }
  const std::string& failure() const { return failure_; }
  int descriptor() const { return descriptor_; }
  std::uint64_t packets() const { return packets_; }
  /// Of the whole output, added so far.
  std::uint64_t bytes() const { return bytes_; }

 private:
  void put(std::span<const std::byte> bytes);
  void write_out();
  bool wait_for_room();

  int descriptor_;
  DumpBounds bounds_;
  std::function<bool()> may_wait_;
  std::size_t chunk_;  // bytes of one write
  forwarding::CaptureFormat format_ = forwarding::CaptureFormat::kPcapng;
  std::size_t end_bytes_ = 0;
  State state_ = State::kOpen;
  std::string failure_;
  std::vector<std::byte> buffer_;
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace sidetap
