#include "sidecar/session/sockets.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "shared/net/socket_address.h"

namespace sidetap::session {
namespace {

namespace asio = boost::asio;

constexpr int kProbes = 3;  // where the system knows no TCP_USER_TIMEOUT
constexpr std::size_t kIpv4Headers = 28;
constexpr std::size_t kIpv6Headers = 48;
constexpr std::size_t kLeastDatagram = 256;
constexpr std::size_t kMostDatagram = 65'507;
constexpr std::uint32_t kUsualMtu = 1500;

template <typename T>
void set(int fd, int level, int name, T value) {
  // An option that the kernel does not support is not a failure.
  ::setsockopt(fd, level, name, &value, sizeof value);
}

Result<Endpoint> endpoint_of(int fd, int (*ask)(int, sockaddr*, socklen_t*), const char* name) {
  Endpoint endpoint;
  socklen_t size = static_cast<socklen_t>(endpoint.capacity());
  if (ask(fd, endpoint.data(), &size) != 0) return system_error(name, errno);
  endpoint.resize(size);
  return endpoint;
}

struct Bound {
  net::UniqueFd fd;
  std::chrono::milliseconds wait{};  ///< As `exclude` says.
};

bool bind_to(int fd, const Endpoint& local) {
  return ::bind(fd, local.data(), static_cast<socklen_t>(local.size())) == 0;
}

/// A socket that is bound to a port, and to `from` where that can be, and is excluded from the
/// capture.
Result<Bound> bound_socket(const Endpoint& peer, const asio::ip::address& from, int type,
                           const Exclude& exclude) {
  net::UniqueFd fd(::socket(peer.protocol().family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return system_error("socket", errno);
  const bool v4 = peer.address().is_v4();
  const bool chosen = !from.is_unspecified() && from.is_v4() == v4;
  if (!chosen || !bind_to(fd.get(), Endpoint(from, 0))) {
    const Endpoint any(v4 ? asio::ip::tcp::v4() : asio::ip::tcp::v6(), 0);
    if (!bind_to(fd.get(), any)) return system_error("bind", errno);
  }
  const auto local = local_endpoint(fd.get());
  if (!local) return local.error();
  const auto wait = exclude(
      {.protocol = type == SOCK_STREAM ? capture::IpProtocol::kTcp : capture::IpProtocol::kUdp,
       .local = {},
       .local_port = local->port(),
       .remote = address_of(peer),
       .remote_port = peer.port()});
  return Bound{std::move(fd), wait};
}

Result<net::UniqueFd> listening_socket(const Endpoint& local, const net::IpAddress& remote,
                                       bool both_families, const Exclude& exclude) {
  net::UniqueFd fd(
      ::socket(local.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return system_error("socket", errno);
  set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (local.address().is_v6()) set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, both_families ? 0 : 1);
  if (::bind(fd.get(), local.data(), static_cast<socklen_t>(local.size())) != 0) {
    return system_error("bind", errno);
  }
  const auto bound = local_endpoint(fd.get());
  if (!bound) return bound.error();
  exclude({.protocol = capture::IpProtocol::kTcp,
           .local = {},
           .local_port = bound->port(),
           .remote = remote,
           .remote_port = 0});
  if (::listen(fd.get(), 16) != 0) return system_error("listen", errno);
  return fd;
}

}  // namespace

Error system_error(std::string_view what, int number) {
  return Error{std::string(what) + ": " + std::system_category().message(number)};
}

std::chrono::milliseconds OwnTraffic::control(const capture::OwnEndpoint& endpoint) {
  parts_[1] = std::exchange(parts_[0], endpoint);
  return publish();
}

std::chrono::milliseconds OwnTraffic::data(const capture::OwnEndpoint& endpoint) {
  parts_[3] = std::exchange(parts_[2], endpoint);
  return publish();
}

void OwnTraffic::clear() {
  for (auto& part : parts_) part.reset();
  publish();
}

std::chrono::milliseconds OwnTraffic::publish() {
  std::vector<capture::OwnEndpoint> endpoints;
  for (const auto& part : parts_) {
    if (part && std::find(endpoints.begin(), endpoints.end(), *part) == endpoints.end()) {
      endpoints.push_back(*part);
    }
  }
  return control_.exclude_own_traffic(owner_, std::move(endpoints));
}

Endpoint unmapped(const Endpoint& endpoint) {
  const auto& address = endpoint.address();
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return endpoint;
  return {asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()), endpoint.port()};
}

net::IpAddress address_of(const Endpoint& endpoint) {
  return net::read_socket_address(endpoint.data()).address;
}

Result<Endpoint> local_endpoint(int fd) { return endpoint_of(fd, ::getsockname, "getsockname"); }
Result<Endpoint> peer_endpoint(int fd) { return endpoint_of(fd, ::getpeername, "getpeername"); }

void keep_alive(int fd, std::chrono::milliseconds silence) {
  // 5 s and 2 s of 12 s; 2 s and 1 s of 5 s.
  const auto seconds = static_cast<int>(silence.count() / 1'000);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, std::max(1, seconds * 5 / 12));
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, seconds / 6));
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  // What ends the connection, with or without bytes that are not acknowledged.
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<unsigned>(silence.count()));
}

asio::awaitable<Result<async::AsyncFd>> dial_tcp(asio::any_io_executor executor, Endpoint peer,
                                                 const Exclude& exclude, async::Limit limit,
                                                 async::Interruption* interruption,
                                                 asio::ip::address from) {
  auto opened = bound_socket(peer, from, SOCK_STREAM, exclude);
  if (!opened) co_return opened.error();
  if (opened->wait.count() != 0 &&
      co_await async::sleep(executor, opened->wait, interruption) == async::Wait::kInterrupted)
    co_return Error{"connect: interrupted"};
  keep_alive(opened->fd.get());
  set(opened->fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  async::AsyncFd fd(executor, std::move(opened->fd));
  const int result = ::connect(fd.get(), peer.data(), static_cast<socklen_t>(peer.size()));
  if (result != 0 && errno != EINPROGRESS) co_return system_error("connect", errno);
  const async::Wait wait = co_await fd.wait(async::AsyncFd::kWrite, limit, interruption);
  if (wait == async::Wait::kTimedOut) co_return Error{"connect: no answer"};
  if (wait == async::Wait::kInterrupted) co_return Error{"connect: interrupted"};
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) co_return system_error("connect", failure);
  co_return std::move(fd);
}

Result<net::UniqueFd> dial_udp(const Endpoint& peer, const Exclude& exclude,
                               const asio::ip::address& from) {
  auto bound = bound_socket(peer, from, SOCK_DGRAM, exclude);
  if (!bound) return bound.error();
  net::UniqueFd fd = std::move(bound->fd);
  if (peer.address().is_v4()) {
    set(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
  } else {
    set(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
  }
  if (::connect(fd.get(), peer.data(), static_cast<socklen_t>(peer.size())) != 0) {
    return system_error("connect", errno);
  }
  return fd;
}

Result<net::UniqueFd> listen_for(const Endpoint& local, const Endpoint& peer,
                                 const Exclude& exclude) {
  return listening_socket(Endpoint(local.address(), 0), address_of(unmapped(peer)), false, exclude);
}

Result<net::UniqueFd> listen_tcp(const net::HostPort& where, const Exclude& exclude) {
  if (!where.host.empty()) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(where.host, error);
    if (error) return Error{"\"" + where.host + "\" is not an address to listen on"};
    return listening_socket({address, where.port}, {}, false, exclude);
  }
  auto fd = listening_socket({asio::ip::tcp::v6(), where.port}, {}, true, exclude);
  // A pod without IPv6.
  if (!fd) return listening_socket({asio::ip::tcp::v4(), where.port}, {}, false, exclude);
  return fd;
}

std::size_t datagram_size(int fd, bool v4, std::uint32_t mtu) {
  if (mtu == 0) {
    int route = 0;
    socklen_t size = sizeof route;
    const int result = v4 ? ::getsockopt(fd, IPPROTO_IP, IP_MTU, &route, &size)
                          : ::getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &route, &size);
    mtu = result == 0 && route > 0 ? static_cast<std::uint32_t>(route) : kUsualMtu;
  }
  const std::size_t headers = v4 ? kIpv4Headers : kIpv6Headers;
  return mtu < kLeastDatagram + headers ? kLeastDatagram
                                        : std::clamp(mtu - headers, kLeastDatagram, kMostDatagram);
}

}  // namespace sidetap::session
