// Brings the packets of one interface to where they are wanted: by RPCAP sessions, into VXLAN, or
// into files. All of them look alike to the tap.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "shared/result.h"
#include "sidecar/packet/own_endpoint.h"

namespace sidetap {

/// Keeps the connections of `owner` out of every capture of the pod; as
/// session::CaptureControl::exclude_own_traffic.
using Exclude = std::function<std::chrono::milliseconds(
    const std::string& owner, const std::vector<capture::OwnEndpoint>& endpoints)>;

/// Everything on the control thread.
class Delivery {
 public:
  virtual ~Delivery() = default;

  /// Error: it can never work as it is configured.
  virtual Result<void> start() = 0;
  /// Ends every capture, which sends what is packed, and every connection. Not for long.
  virtual boost::asio::awaitable<void> stop() = 0;
  /// May peers leave packets to this tap? Only when what they leave reaches everybody who would
  /// have got it from them.
  virtual bool forwarding() const = 0;
  /// Nothing is lost for want of room on a disk.
  virtual bool healthy() const { return true; }
  /// Called whenever either may have changed. Before start().
  virtual void on_forwarding_changed(std::function<void()> callback) = 0;
};

}  // namespace sidetap
