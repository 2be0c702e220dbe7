// Serves clients that connect to the tap (libpcap's rpcap://HOST).
#pragma once

#include <list>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "shared/async/accept_loop.h"
#include "shared/telemetry/log_throttle.h"
#include "sidecar/session/hub.h"

namespace sidetap::session {

class PassiveListener {
 public:
  explicit PassiveListener(Hub& hub);

  /// Listens, and serves clients in tasks of the hub, which end when the hub is stopping. Returns
  /// the bound port. Error: the tap cannot listen on the address.
  Result<std::uint16_t> start();
  /// Ends the listener and every client when the hub is stopping.
  void reconsider();

 private:
  struct Client {
    Client(Hub& hub, unsigned slot);
    const unsigned slot;
    OwnTraffic own_traffic;
    async::Interruption interruption;
    Standing standing = Standing::kNone;
  };
  using Place = std::list<Client>::iterator;

  void admit(net::UniqueFd fd);
  boost::asio::awaitable<void> serve(Place client, async::AsyncFd fd, std::string name);
  void leave(Place client);
  unsigned free_slot() const;

  Hub& hub_;
  const PassiveSettings& settings_;
  OwnTraffic own_traffic_;
  std::optional<async::AcceptLoop> listener_;
  std::list<Client> clients_;
  telemetry::LogThrottle client_faults_{5, std::chrono::minutes(1)};
};

}  // namespace sidetap::session
