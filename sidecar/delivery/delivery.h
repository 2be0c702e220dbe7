// Delivers the packets of one interface: to RPCAP sessions, in VXLAN, or to files. All deliveries
// have the same interface for the tap.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "shared/registry/messages.h"
#include "shared/result.h"
#include "sidecar/packet/own_endpoint.h"

namespace sidetap {

/// Keeps the connections of `owner` out of every capture of the pod, as
/// session::CaptureControl::exclude_own_traffic() does.
using Exclude = std::function<std::chrono::milliseconds(
    const std::string& owner, const std::vector<capture::OwnEndpoint>& endpoints)>;

/// Call all members on the control thread.
class Delivery {
 public:
  virtual ~Delivery() = default;

  /// Error: the configuration can never work.
  virtual Result<void> start() = 0;
  /// Call it when the tap is about to end and packets wait for its first session. Dials at once
  /// every peer that it would dial later, and again at short intervals.
  virtual void dial_soon() {}
  /// Ends every capture, which sends pending packets, and every connection. Returns within a few
  /// seconds.
  virtual boost::asio::awaitable<void> stop() = 0;
  /// Whether peers may leave packets to this tap: only if those packets reach everybody who would
  /// have received them from the peers.
  virtual bool forwarding() const = 0;
  /// False while packets are lost because a disk is full.
  virtual bool healthy() const { return true; }
  /// What the sensors of this interface do now, for the tap's report; one for each, in the
  /// operator's order. A file has none.
  virtual std::vector<registry::SensorReport> sensors() const = 0;
  /// Sets a callback for when one of the above may have changed. Call it before start().
  virtual void on_forwarding_changed(std::function<void()> callback) = 0;
  /// Ends the exclusion of its connections. Call it a while after stop() if the tap goes on: their
  /// last segments are then no longer in flight.
  virtual void forget_connections() {}
};

/// Begins the names of owners of a delivery's connections: of each interface and of each stage (see
/// CaptureLoop::advance()) another, because deliveries of two stages run side by side for a while.
inline std::string owner_prefix(const std::string& interface, std::uint64_t stage) {
  return stage == 0 ? interface : interface + " " + std::to_string(stage);
}

}  // namespace sidetap
