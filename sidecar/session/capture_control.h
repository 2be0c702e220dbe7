// What a session asks of the capture of one interface: the seam between the control thread, which
// speaks RPCAP, and the packet path, which does not.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shared/net/unique_fd.h"
#include "shared/result.h"
#include "shared/rpcap/messages.h"
#include "sidecar/packet/own_endpoint.h"

struct ssl_st;

namespace sidetap::session {

/// How packets go to the sensor.
enum class DataKind : std::uint8_t {
  kUdpstr,  ///< UDP, ExtraHop's packed stream (type 110).
  kUdp,     ///< UDP, one datagram a packet.
  kTcp,     ///< TCP, one message after the other.
};

/// One capture that a sensor asked for.
struct CaptureOrder {
  DataKind kind = DataKind::kUdpstr;
  net::UniqueFd socket;         ///< Connected and non-blocking.
  std::shared_ptr<ssl_st> tls;  ///< TCP only: handshake done, bound to `socket`; null: plain.
  std::string sensor;           ///< "HOST:PORT" as configured: log, metrics, balancing by flow.
  /// For a client that looks on while sensors are configured: it gets a copy of everything and is
  /// no sensor to balancing, outages and the counts of what was lost.
  bool copy = false;
  std::uint32_t snaplen = 262'144;            ///< Bytes; the smaller of sensor's and tap's.
  std::vector<rpcap::BpfInstruction> filter;  ///< As the sensor sent it, unchecked. Empty: all.
  rpcap::Sampling sampling;
  std::size_t datagram_size = 1472;  ///< UDP payload that fits the path, bytes.
  /// The data connection is lost or refused; one sentence. Called on the capture thread, at most
  /// once; the capture sends nothing more but stands until stop().
  std::function<void(std::string)> on_fault;
};

/// All members are called on the control thread, and return at once. What they ask for happens on
/// the packet path in the order in which it was asked for; `done` is called on the control thread
/// when it has happened, perhaps before the member returns, and never where the program ends first.
class CaptureControl {
 public:
  using Done = std::function<void()>;

  virtual ~CaptureControl() = default;

  /// The connections of `owner` (a session, the registry client, the status server) are never
  /// forwarded from now on, and soon not even captured: the kernel's filter follows. Replaces what
  /// this owner said before; an empty list ends it. Call it between bind() and connect(). Returns
  /// how long to wait before the connection carries anything: until every other tap of the pod
  /// leaves it out as well; 0 where there is none.
  virtual std::chrono::milliseconds exclude_own_traffic(
      const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) = 0;

  /// Begins to forward; does so when `begun` is called. The answer names the capture in the other
  /// calls. Error: the filter is no valid program, or the interface is not open.
  virtual Result<std::uint64_t> start(CaptureOrder order, Done begun) = 0;
  /// Error: the filter is no valid program, or there is no such capture; the old one stays.
  virtual void update_filter(std::uint64_t capture, std::vector<rpcap::BpfInstruction> filter,
                             std::function<void(Result<void>)> done) = 0;
  /// Sends what is packed, then forgets the capture and closes its socket. `done` may be null.
  virtual void stop(std::uint64_t capture, Done done) = 0;
  /// Counted from the start of this capture; zeros where there is none.
  virtual void stats(std::uint64_t capture, std::function<void(rpcap::Stats)> told) = 0;

  /// The interface as FINDALLIF describes it, with the addresses of now.
  virtual rpcap::Interface interface() = 0;
  /// Its link layer, a LINKTYPE_ number.
  virtual std::int32_t link_type() = 0;
};

}  // namespace sidetap::session
