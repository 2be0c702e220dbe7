// What counts of what the replicas say: without this pod, and without what is too new. Pure.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/registry/peer_view.h"
#include "sidecar/registry/settling.h"

namespace sidetap::registry {

/// What the registry says, as of one moment.
struct Peers {
  std::vector<net::IpAddress> tapped;  ///< Ascending, without this pod.
  /// Services of which every backend is tapped, ascending. Nothing: that is not known.
  std::optional<std::vector<net::IpAddress>> services;
  friend bool operator==(const Peers&, const Peers&) = default;
};

class SettledPeers {
 public:
  using Time = Settling::Time;

  /// What is added counts after `delay`, as in Settling.
  explicit SettledPeers(std::chrono::milliseconds delay) : peers_(delay), services_(delay) {}

  /// `own`: this pod's addresses. True: now() has changed.
  bool update(const PeerView& view, const std::vector<net::IpAddress>& own, Time time);
  /// Null before the first update.
  const std::shared_ptr<const Peers>& now() const { return now_; }
  /// When to update again although nobody has said anything new; nothing: then only.
  std::optional<Time> due() const;

 private:
  Settling peers_;
  Settling services_;
  std::shared_ptr<const Peers> now_;
};

}  // namespace sidetap::registry
