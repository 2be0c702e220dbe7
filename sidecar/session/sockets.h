// Creates the sockets of sessions: bound, excluded from the capture, and only then connected.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "shared/async/waiting.h"
#include "shared/net/host_port.h"
#include "shared/result.h"
#include "sidecar/session/capture_control.h"

namespace sidetap::session {

using Endpoint = boost::asio::ip::tcp::endpoint;

/// The connections of one session that are never captured: the current control and data connections
/// and, because their last segments may still be in flight, the previous ones.
class OwnTraffic {
 public:
  OwnTraffic(CaptureControl& control, std::string owner)
      : control_(control), owner_(std::move(owner)) {}

  /// Both return the result of CaptureControl::exclude_own_traffic().
  std::chrono::milliseconds control(const capture::OwnEndpoint& endpoint);
  std::chrono::milliseconds data(const capture::OwnEndpoint& endpoint);
  /// Ends the exclusion.
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

/// How long the system goes on without a sign of a peer.
inline constexpr std::chrono::milliseconds kUsualSilence{12'000};

/// Connects over TCP with keep_alive() as it is by default. Waits before connect() for as long as
/// `exclude` says; the functions below leave that to the caller. `from`: the own address; if it is
/// unspecified, of another family or gone, the system chooses one.
boost::asio::awaitable<Result<async::AsyncFd>> dial_tcp(
    boost::asio::any_io_executor executor, Endpoint peer, const Exclude& exclude,
    async::Limit limit, async::Interruption* interruption,
    boost::asio::ip::address from = boost::asio::ip::address());
/// A connected UDP socket that never sends fragments. `from` is as of dial_tcp().
Result<net::UniqueFd> dial_udp(const Endpoint& peer, const Exclude& exclude,
                               const boost::asio::ip::address& from = boost::asio::ip::address());
/// Listens for one connection of `peer` on any free port of the address `local`.
Result<net::UniqueFd> listen_for(const Endpoint& local, const Endpoint& peer,
                                 const Exclude& exclude);
/// Listens for anybody. An empty host means every address of both families.
Result<net::UniqueFd> listen_tcp(const net::HostPort& where, const Exclude& exclude);

/// "WHAT: REASON", for example "open: too many open files". `number` is an errno.
Error system_error(std::string_view what, int number);

Result<Endpoint> local_endpoint(int fd);
Result<Endpoint> peer_endpoint(int fd);
/// Lets the system end a connection whose peer has given no sign for `silence`, at least 3 s, or a
/// second longer. It asks a peer that has nothing to say several times before. A peer whose program
/// is busy or stopped answers all the same, because its system does.
void keep_alive(int fd, std::chrono::milliseconds silence = kUsualSilence);
/// The UDP payload in bytes that fits an unfragmented packet of `mtu` bytes, or of the route's MTU
/// if `mtu` is 0.
std::size_t datagram_size(int fd, bool v4, std::uint32_t mtu);

}  // namespace sidetap::session
