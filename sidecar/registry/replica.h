// One replica of the registry, as the tap's client keeps it.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shared/async/backoff.h"
#include "shared/async/interruption.h"
#include "shared/net/host_port.h"
#include "sidecar/packet/own_endpoint.h"
#include "sidecar/registry/link.h"
#include "sidecar/registry/trust.h"
#include "sidecar/session/sockets.h"

namespace sidetap::registry {

struct Replica {
  /// The current connection, and those that one round of attempts may have left behind.
  static constexpr std::size_t kMostConnections = 1 + Trust::kMostCandidates;

  Replica(session::Endpoint the_endpoint, async::BackoffBounds bounds)
      : endpoint(std::move(the_endpoint)),
        name(net::HostPort{endpoint.address().to_string(), endpoint.port()}.to_string()),
        backoff(bounds) {}

  bool open() const { return link && link->open(); }
  /// Keeps the endpoint of a new connection. Returns all whose packets may still pass.
  std::vector<capture::OwnEndpoint> add_connection(const capture::OwnEndpoint& connection) {
    connections_.push_front(connection);
    if (connections_.size() > kMostConnections) connections_.pop_back();
    return {connections_.begin(), connections_.end()};
  }

  const session::Endpoint endpoint;
  const std::string name;
  async::Backoff backoff;
  async::Interruption waiting;
  std::shared_ptr<Link> link;
  bool resolved = true;  ///< The registry's name still resolves to it.
  bool resync_asked = false;
  std::string reported;  ///< The last failure in the log.

 private:
  /// The newest comes first. The others have ended, but their last packets may still pass.
  std::deque<capture::OwnEndpoint> connections_;
};

}  // namespace sidetap::registry
