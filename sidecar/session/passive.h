// Clients that dial the tap: libpcap's rpcap://HOST.
#pragma once

#include <list>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "shared/telemetry/log_throttle.h"
#include "sidecar/session/hub.h"

namespace sidetap::session {

class PassiveListener {
 public:
  explicit PassiveListener(Hub& hub);

  /// Error: the address cannot be listened on.
  Result<std::uint16_t> listen();
  /// Ends when the hub is stopping and every client has gone.
  boost::asio::awaitable<void> run();
  void reconsider();

 private:
  struct Client {
    Client(Hub& hub, unsigned slot);
    const unsigned slot;
    OwnTraffic own_traffic;
    Interruption interruption;
    Standing standing = Standing::kNone;
  };
  using Place = std::list<Client>::iterator;

  void admit(net::UniqueFd fd);
  boost::asio::awaitable<void> serve(Place client, AsyncFd fd, std::string name);
  void leave(Place client);
  unsigned free_slot() const;

  Hub& hub_;
  const PassiveSettings& settings_;
  OwnTraffic own_traffic_;
  std::optional<AsyncFd> listener_;
  Interruption interruption_;
  Interruption emptied_;
  std::list<Client> clients_;
  telemetry::LogThrottle accept_faults_{1, std::chrono::minutes(1)};
  telemetry::LogThrottle client_faults_{5, std::chrono::minutes(1)};
};

}  // namespace sidetap::session
