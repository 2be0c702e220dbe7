// Sends runs of datagrams with as few system calls as the kernel and the device allow.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "shared/net/datagram_runs.h"
#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/output.h"

namespace sidetap::forwarding {

/// Over one connected, non-blocking UDP socket: UDP_SEGMENT where a run has several datagrams,
/// otherwise, and where the kernel or the device refuses that, sendmmsg. Never lets IP fragment.
class DatagramSender {
 public:
  /// Writes to `counts`, which must outlive it. Without `on_fault` a port that does not answer
  /// costs the run that learns of it, and nothing ends.
  DatagramSender(net::UniqueFd socket, OutputCounts& counts, FaultHandler on_fault);

  /// Sends all runs; what finds no room in the socket is dropped and counted. It may wait for room,
  /// a few milliseconds and a small part of all time at most: whoever else is fed from the same
  /// ring must not pay for a slow way to this one.
  void send(std::span<const net::DatagramRun> runs, const std::byte* base);

  /// Datagrams were too large for the path: UDP payload bytes that fit it now, which may be more
  /// than they have by now; 0: no news. Reading resets it.
  std::size_t take_smaller_size() { return std::exchange(smaller_size_, 0); }
  /// The connection was refused: nothing is sent any more.
  bool dead() const { return dead_; }
  bool segmentation() const { return segmentation_; }

 private:
  std::size_t send_segmented(std::span<const net::DatagramRun> runs, const std::byte* base);
  bool send_singly(const net::DatagramRun& run, const std::byte* base);
  bool wait_for_room();
  DropCause cause_of(int error);
  void forwarded(const net::DatagramRun& run);
  void dropped(const net::DatagramRun& run, DropCause cause);
  bool fits_path(std::size_t size);
  void learn_path_mtu();
  std::size_t path_size() const;

  net::UniqueFd socket_;
  OutputCounts& counts_;
  FaultHandler on_fault_;
  bool segmentation_ = true;
  bool dead_ = false;
  std::chrono::steady_clock::time_point next_wait_;  // not before
  bool tail_lost_ = false;  // the packet that goes on in the next run has lost a part
  DropCause tail_cause_ = DropCause::kSocketFull;
  std::size_t smaller_size_ = 0;
  std::size_t last_size_ = 0;
};

}  // namespace sidetap::forwarding
