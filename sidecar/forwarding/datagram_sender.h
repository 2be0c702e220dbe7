// Sends runs of datagrams with as few system calls as the kernel and the device allow.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shared/net/datagram_runs.h"
#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/output.h"

namespace sidetap::forwarding {

/// How many bytes an output collects before it sends, so that one call hands over many datagrams.
inline constexpr std::size_t kBatchBytes = 64 * 1024;
/// What a datagram output keeps at most while its socket is full. A capture's stall is noticed
/// between packets, so the largest one (BIG TCP) has to fit. Not resident before a stall needs it.
inline constexpr std::size_t kHeldBytes = 1U << 20;
/// Smaller path sizes are ignored: no packet's headers would fit.
inline constexpr std::size_t kSmallestDatagram = 64;

/// How to hand several datagrams to the kernel.
enum class Handover : std::uint8_t {
  /// Runs of one size in one piece (UDP_SEGMENT) where the kernel and the device take that; the
  /// receiver's socket gets single datagrams. On a device that carries such pieces as they are, a
  /// veth for example, one that sniffs gets the whole piece.
  kSegments,
  kSingly,  ///< Each by itself, several in one call.
};

/// The position at which the path's MTU stopped a send.
struct TooLarge {
  std::size_t run = 0;       ///< Its index among those given.
  std::size_t datagram = 0;  ///< Of that run: the first that was not sent.
  std::size_t fits = 0;      ///< UDP payload bytes to try next, fewer than that datagram has.
};

/// How far a send came.
struct Sent {
  /// Sent or dropped, and counted. Fewer than were given, and nothing too large: the socket is
  /// full.
  std::size_t runs = 0;
  /// The rest is too large for the path: neither sent nor counted, as are the packets of the run's
  /// first datagrams, which were sent. Pack it anew, and count_sent().
  std::optional<TooLarge> too_large{};
};

/// Over one connected, non-blocking UDP socket. Never lets IP fragment.
class DatagramSender {
 public:
  /// Writes to `counts`, which must outlive it. Without `on_fault` a port that does not answer
  /// costs nothing and ends nothing: the refusals of what was sent before are read, and it goes on.
  DatagramSender(net::UniqueFd socket, OutputCounts& counts, FaultHandler on_fault,
                 Handover handover = Handover::kSegments);

  /// Sends and counts runs until the socket is full. It may wait for room, a few milliseconds and a
  /// small part of all time at most: whoever else is fed from the same ring must not pay for a slow
  /// way to this one. What is left must come first in the next
  /// call, or go to give_up(); further datagrams may have been added to its end.
  Sent send(std::span<const net::DatagramRun> runs, const std::byte* base);
  /// Counts what send() has left, and what came after it, as dropped for want of room.
  void give_up(std::span<const net::DatagramRun> runs);
  /// The first `datagrams` of a run, in which so many packets ended, were sent.
  void count_sent(const net::DatagramRun& run, std::size_t datagrams, std::uint32_t packets);

  /// Nothing more can be sent: `on_fault` has been called.
  bool is_dead() const { return dead_; }
  /// The last send() left something. As Output has it, blocked_descriptor() or must_retry() says
  /// when to send again.
  bool is_full() const { return stall_ != Stall::kNone; }
  int blocked_descriptor() const { return stall_ == Stall::kSocket ? socket_.get() : -1; }
  bool must_retry() const { return stall_ == Stall::kMemory; }

  /// Datagrams that were sent were too large for the path: UDP payload bytes that fit it now, which
  /// may be more than they have by now; 0: no news. Reading resets it.
  std::size_t take_smaller_size() { return std::exchange(smaller_size_, 0); }

 private:
  /// Why the socket takes nothing now.
  enum class Stall : std::uint8_t {
    kNone,
    kSocket,  // its buffer is full
    kMemory,  // the system is short of it; the socket counts as writable meanwhile
  };
  Sent send_segmented(std::span<const net::DatagramRun> runs, const std::byte* base);
  Sent send_singly(const net::DatagramRun& run, const std::byte* base);
  bool worth_another_try(int error, std::size_t size);
  bool wait_for_room();
  bool stalls(int error);
  DropCause cause_of(int error);
  void forwarded(const net::DatagramRun& run);
  void dropped(const net::DatagramRun& run, DropCause cause);
  void drop_rest(const net::DatagramRun& run, std::size_t done, DropCause cause);
  std::size_t size_to_try(std::size_t size) const;
  std::size_t path_size() const;

  net::UniqueFd socket_;
  OutputCounts& counts_;
  FaultHandler on_fault_;
  bool segmentation_;
  bool dead_ = false;
  bool told_too_large_ = false;  // and the datagram fits: once is old news, twice is not
  unsigned refusals_ = 0;        // in a row
  std::chrono::steady_clock::time_point next_wait_;  // not before
  Stall stall_ = Stall::kNone;
  std::size_t sent_of_first_ = 0;  // datagrams of the run that comes first in the next send()
  bool tail_lost_ = false;         // the packet that goes on in the next run has lost a part
  DropCause tail_cause_ = DropCause::kSocketFull;
  std::size_t smaller_size_ = 0;
};

/// For outputs of which each datagram is one packet: cuts what is too large where it lies, from
/// where `at` says, and puts what is left to send into `runs`. `cut` gets a datagram of more bytes
/// than fit, and says how many it keeps; 0: it is left out.
template <typename Cut>
void cut_datagrams(net::DatagramRuns& runs, std::byte* base, const TooLarge& at, Cut&& cut) {
  const std::vector<net::DatagramRun> all(runs.all().begin(), runs.all().end());
  runs.clear();
  std::size_t to = all[at.run].offset + at.datagram * all[at.run].datagram;
  for (std::size_t i = at.run; i < all.size(); ++i) {
    const net::DatagramRun& run = all[i];
    for (std::size_t done = (i == at.run ? at.datagram : 0) * run.datagram; done < run.size;
         done += run.datagram) {
      const std::span<std::byte> datagram(base + run.offset + done,
                                          std::min(run.datagram, run.size - done));
      const std::size_t kept = datagram.size() > at.fits ? cut(datagram) : datagram.size();
      if (kept == 0) continue;
      std::memmove(base + to, datagram.data(), kept);
      runs.add(to, kept, 1, false);
      to += kept;
    }
  }
}

}  // namespace sidetap::forwarding
