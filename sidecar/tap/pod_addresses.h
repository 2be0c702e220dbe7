// The pod's interfaces, addresses and gateways as they are now, and every capture kept at them.
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

/// The control thread.
class PodAddresses {
 public:
  /// `changed` is called after each look that start() or the kernel has caused, whether something
  /// is different or not. `options` outlives this object.
  PodAddresses(const boost::asio::any_io_executor& executor, const OwnershipOptions& options,
               std::function<void()> changed);

  /// Looks, and goes on looking whenever the kernel tells of a change. Error: the interfaces cannot
  /// be listed.
  Result<void> start();
  void stop() { watch_.stop(); }
  /// What add() is told of from now on. `loop` outlives this object.
  void add(CaptureLoop& loop) { loops_.push_back(&loop); }
  /// Looks now. With other addresses, or another interface, a capture's kernel filter is built
  /// anew.
  void renew();

  const std::vector<net::Interface>& interfaces() const { return interfaces_; }
  /// Next hops of the pod.
  const std::vector<net::IpAddress>& gateways() const { return gateways_; }
  /// Of any interface but the loopback: a sensor beside the application is one to forward to.
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
