// The interface of outputs for owned packets: one connection to one sensor, or a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "shared/rpcap/messages.h"
#include "shared/telemetry/metrics.h"

namespace sidetap::forwarding {

/// A packet in two parts (rewritten headers, untouched rest), either of which may be empty. Its
/// header's `captured` is the size of both.
struct OutgoingPacket {
  rpcap::PacketHeader header;
  std::span<const std::byte> head;
  std::span<const std::byte> body;
  std::uint64_t flow = 0;  ///< The same for both directions of a flow; 0 where nobody asks for it.
  std::uint32_t nanoseconds = 0;  ///< Since `header.seconds`; `header.microseconds` in full.
  std::uint32_t origin = 0;  ///< As of the captured packet.
};

/// Why an owned packet was not forwarded.
enum class DropCause : std::uint8_t {
  kSocketFull,    ///< The sensor or the network is too slow.
  kTooLarge,      ///< Datagrams that exceeded the path's MTU after it fell.
  kSendError,     ///< The system refused to send (no route, interface down).
  kDisconnected,  ///< The data connection is lost; the session is about to end.
};
inline constexpr unsigned kDropCauseCount = 4;
/// "socket-full" and the like; a static string.
std::string_view drop_cause_name(DropCause cause);

/// Every packet that was added is counted once: forwarded or dropped, when its last byte is sent
/// or given up. Written by the packet path, read by any thread.
struct OutputCounts {
  telemetry::HotCounter forwarded;
  telemetry::HotCounter bytes;      ///< Given to the socket, including RPCAP headers.
  telemetry::HotCounter datagrams;  ///< 0 for streams.
  telemetry::HotCounter truncated;  ///< Added packets that were cut to fit a datagram.
  telemetry::HotCounter dropped[kDropCauseCount];

  std::uint64_t dropped_total() const {
    std::uint64_t sum = 0;
    for (const auto& cause : dropped) sum += cause.value();
    return sum;
  }
};

/// Called once, on the packet path's thread, when nothing more can be sent.
using FaultHandler = std::function<void(std::string)>;

/// One thread. Nothing here throws. Nothing that sends to a socket waits for it.
class Output {
 public:
  virtual ~Output() = default;
  virtual void add(const OutgoingPacket& packet) = 0;
  /// Sends what is packed, partial batches too. What the socket does not take stays, up to the
  /// output's own bound: whatever is added beyond that is dropped.
  virtual void flush() = 0;
  /// The last flush: what the socket does not take now is given up. Nothing is added afterwards.
  virtual void finish() { flush(); }
  /// A socket whose writability would let flush() go on; -1: none.
  virtual int blocked_descriptor() const { return -1; }
  /// Something waits, and no single socket tells when flush() can go on: try in a moment.
  virtual bool must_retry() const { return false; }
  /// What is added now is on its way soon. Otherwise it waits for the socket, or is dropped.
  virtual bool takes_more() const { return true; }
  const OutputCounts& counts() const { return counts_; }

 protected:
  OutputCounts counts_;
};

}  // namespace sidetap::forwarding
