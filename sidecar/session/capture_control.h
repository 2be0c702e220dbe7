// The interface through which sessions steer the capture of one interface. It separates the control
// thread, which speaks RPCAP, from the packet path.
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
  kUdp,     ///< UDP, one datagram per packet.
  kTcp,     ///< TCP, a sequence of messages.
};

/// One capture that a sensor asked for.
struct CaptureOrder {
  DataKind kind = DataKind::kUdpstr;
  net::UniqueFd socket;         ///< Connected and non-blocking.
  std::shared_ptr<ssl_st> tls;  ///< TCP only: handshake done, bound to `socket`; null: plain.
  std::string sensor;           ///< "HOST:PORT" as configured, for log, metrics and balancing.
  /// Of a passive-mode client. While sensors are configured, it gets a copy of everything, and is
  /// ignored for balancing, outages and the counts of lost packets. Else it takes their place.
  bool client = false;
  /// The stage to which this capture belongs, unless it is a client's; see CaptureLoop::advance().
  std::uint64_t stage = 0;
  std::uint32_t snaplen = 262'144;            ///< Bytes; the smaller of sensor's and tap's.
  std::vector<rpcap::BpfInstruction> filter;  ///< As the sensor sent it, unchecked. Empty: all.
  rpcap::Sampling sampling;
  std::size_t datagram_size = 1472;  ///< UDP payload that fits the path, bytes.
  /// Called at most once, on the capture thread, when the data connection is lost or refused, with
  /// one sentence. The capture sends nothing more, but exists until stop().
  std::function<void(std::string)> on_fault;
};

/// Call all members on the control thread. They return at once, and the packet path performs the
/// requests in order. `done` is called on the control thread after that, possibly before the member
/// returns, and never if the program ends first.
class CaptureControl {
 public:
  using Done = std::function<void()>;

  virtual ~CaptureControl() = default;

  /// Excludes the connections of `owner` (a session, the registry client, the status server). From
  /// now on they are never forwarded, and soon not even captured, because the kernel's filter
  /// follows. Replaces the previous list of this owner; an empty list ends the exclusion. Call it
  /// between bind() and connect(). Returns how long to wait before the connection carries data,
  /// until every other tap of the pod excludes it too; 0 if there is no other tap.
  virtual std::chrono::milliseconds exclude_own_traffic(
      const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) = 0;

  /// Starts a capture, which forwards once `begun` has been called. Returns its ID for the other
  /// calls. Error: the filter is not a valid program, or the interface is not open.
  virtual Result<std::uint64_t> start(CaptureOrder order, Done begun) = 0;
  /// Error: the filter is not a valid program, or there is no such capture. The old filter then
  /// stays.
  virtual void update_filter(std::uint64_t capture, std::vector<rpcap::BpfInstruction> filter,
                             std::function<void(Result<void>)> done) = 0;
  /// Sends pending packets, then removes the capture and closes its socket. `done` may be null.
  virtual void stop(std::uint64_t capture, Done done) = 0;
  /// The counts since the start of this capture; zeros if there is no such capture.
  virtual void stats(std::uint64_t capture, std::function<void(rpcap::Stats)> told) = 0;

  /// The interface as FINDALLIF describes it, with its current addresses.
  virtual rpcap::Interface interface() = 0;
  /// Its link layer, a LINKTYPE_ number.
  virtual std::int32_t link_type() = 0;
};

}  // namespace sidetap::session
