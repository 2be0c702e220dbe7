// The sockets of sessions: bound, kept out of the capture, and only then connected.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "shared/async/waiting.h"
#include "shared/net/host_port.h"
#include "shared/result.h"
#include "sidecar/session/capture_control.h"

namespace sidetap::session {

using Endpoint = boost::asio::ip::tcp::endpoint;

/// Which connections of one session are never captured: control and data of now and, since their
/// last segments may still be under way, of the time before.
class OwnTraffic {
 public:
  OwnTraffic(CaptureControl& control, std::string owner)
      : control_(control), owner_(std::move(owner)) {}

  /// Both return what CaptureControl::exclude_own_traffic does.
  std::chrono::milliseconds control(const capture::OwnEndpoint& endpoint);
  std::chrono::milliseconds data(const capture::OwnEndpoint& endpoint);
  /// Nothing is excluded any more.
  void clear();

 private:
  std::chrono::milliseconds publish();
  CaptureControl& control_;
  std::string owner_;
  std::optional<capture::OwnEndpoint> parts_[4];  // control, its predecessor, data, its predecessor
};

/// Called between bind() and connect() or listen(). Returns how long to wait before anything is
/// sent.
using Exclude = std::function<std::chrono::milliseconds(const capture::OwnEndpoint&)>;

/// IPv4-mapped addresses become the IPv4 address that they stand for.
Endpoint unmapped(const Endpoint& endpoint);
net::IpAddress address_of(const Endpoint& endpoint);

/// TCP with keepalive; a peer that is gone is noticed within 15 s. Waits before connect() as long
/// as `exclude` says; the others leave that to the caller.
boost::asio::awaitable<Result<async::AsyncFd>> dial_tcp(boost::asio::any_io_executor executor,
                                                        Endpoint peer, const Exclude& exclude,
                                                        async::Limit limit,
                                                        async::Interruption* interruption);
/// A connected UDP socket that never sends fragments.
Result<net::UniqueFd> dial_udp(const Endpoint& peer, const Exclude& exclude);
/// Waits for one connection of `peer` on the address `local`, any free port.
Result<net::UniqueFd> listen_for(const Endpoint& local, const Endpoint& peer,
                                 const Exclude& exclude);
/// Listens for anybody. An empty host: on every address, both families.
Result<net::UniqueFd> listen_tcp(const net::HostPort& where, const Exclude& exclude);

/// "open: too many open files", from errno.
Error system_error(std::string_view what, int number);

Result<Endpoint> local_endpoint(int fd);
Result<Endpoint> peer_endpoint(int fd);
/// What dial_tcp does to its sockets, for accepted ones.
void keep_alive(int fd);
/// UDP payload that goes in one piece: of `mtu`, or of the route's when that is 0.
std::size_t datagram_size(int fd, bool v4, std::uint32_t mtu);

}  // namespace sidetap::session
