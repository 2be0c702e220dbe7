// The peers from the replicas' lists that count: without this pod, and without additions that are
// too new. Pure.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/registry/peer_view.h"
#include "sidecar/registry/settling.h"

namespace sidetap::registry {

/// The registry's lists at one moment, as far as they count. See registry::Lists for their meaning.
/// All are ascending, without repetitions.
struct Peers {
  Addresses tapped;  ///< Without this pod.
  Addresses older;   ///< Those of `tapped` to which rules 1 apply.
  /// Services whose backends are all tapped. Nothing: unknown.
  std::optional<Addresses> services;
  Addresses nodes;
  TransportAddresses client_owned;
  TransportAddresses front_ends;
  TransportAddresses server_ports;
  /// The server ports until a moment ago, while packets may be decided by them: whoever owns a
  /// packet by either list owns it. Nothing: the same.
  std::optional<TransportAddresses> former_server_ports;
  friend bool operator==(const Peers&, const Peers&) = default;
};

class SettledPeers {
 public:
  using Time = Settling::Time;

  /// Additions count after `delay`, as in Settling.
  explicit SettledPeers(std::chrono::milliseconds delay) : peers_(delay), services_(delay) {}

  /// `own` are this pod's addresses. Returns true if now() has changed.
  bool update(const PeerView& view, const std::vector<net::IpAddress>& own, Time time);
  /// Null before the first update.
  const std::shared_ptr<const Peers>& now() const { return now_; }
  /// When to call update() again without news from the registry; nothing if that is not needed.
  std::optional<Time> due() const;

 private:
  Settling peers_;
  Settling services_;
  std::shared_ptr<const Peers> now_;
};

}  // namespace sidetap::registry
