// Tracks the pod's interfaces, addresses and gateways, and updates every capture.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "shared/net/interfaces.h"
#include "sidecar/options/ownership_options.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/system/address_watch.h"

namespace sidetap {

/// Use it on the control thread.
class PodAddresses {
 public:
  /// Calls `changed` after each check that start() or the kernel has caused, whether or not
  /// something has changed. `options` must outlive this object.
  PodAddresses(const boost::asio::any_io_executor& executor, const OwnershipOptions& options,
               std::function<void()> changed);

  /// Checks now and whenever the kernel reports a change. Error: the interfaces cannot be listed.
  Result<void> start();
  void stop() { watch_.stop(); }
  /// Adds a capture to update from now on. `loop` must outlive this object.
  void add(CaptureLoop& loop) { loops_.push_back(&loop); }
  /// Checks now. If addresses or an interface have changed, rebuilds the kernel filters of the
  /// captures.
  void renew();

  const std::vector<net::Interface>& interfaces() const { return interfaces_; }
  /// Next hops of the pod.
  const std::vector<net::IpAddress>& gateways() const { return gateways_; }
  /// Whether this is an address of the pod. Loopback addresses do not count: a sensor in the same
  /// pod is a valid target.
  bool is_own(const net::IpAddress& address) const;

 private:
  void renew_gateways();
  void renew_capture(CaptureLoop& loop, const std::vector<net::Interface>& now) const;

  const OwnershipOptions& options_;
  std::function<void()> changed_;
  std::vector<net::Interface> interfaces_;
  std::vector<net::IpAddress> gateways_;
  std::vector<CaptureLoop*> loops_;
  AddressWatch watch_;
};

}  // namespace sidetap
