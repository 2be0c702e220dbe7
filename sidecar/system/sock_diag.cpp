#include "sidecar/system/sock_diag.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "shared/net/netlink.h"

namespace sidetap {
namespace {

struct DiagRequest {
  nlmsghdr header{};
  inet_diag_req_v2 request{};
};

DiagRequest diag_request(std::uint8_t family, std::uint16_t flags, std::uint32_t sequence) {
  DiagRequest made;
  made.header.nlmsg_len = sizeof made;
  made.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  made.header.nlmsg_flags = flags;
  made.header.nlmsg_seq = sequence;
  made.request.sdiag_family = family;
  made.request.sdiag_protocol = IPPROTO_TCP;
  return made;
}

void write_diag_address(net::IpAddress address, bool v4, __be32* words) {
  if (v4) {
    const auto bytes = address.v4_bytes();
    std::memcpy(words, bytes.data(), bytes.size());
  } else {
    const auto bytes = address.v6_bytes();
    std::memcpy(words, bytes.data(), bytes.size());
  }
}

}  // namespace

Result<void> SockDiag::open() {
  if (socket_) return {};
  socket_.reset(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!socket_) return Error{std::string("socket: ") + std::strerror(errno)};
  const timeval patience{0, 100'000};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return {};
}

Result<void> SockDiag::listening(const Visit& visit) {
  if (auto opened = open(); !opened) return opened;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    DiagRequest query = diag_request(family, NLM_F_REQUEST | NLM_F_DUMP, ++sequence_);
    query.request.idiag_states = 1U << TCP_LISTEN;
    auto done = net::dump(socket_.get(), std::as_bytes(std::span(&query, 1)),
                          [&visit](unsigned type, std::span<const std::byte> payload) {
                            if (type == SOCK_DIAG_BY_FAMILY) visit(payload);
                          });
    if (!done) {
      socket_.reset();
      return done;
    }
  }
  return {};
}

std::vector<std::byte> SockDiag::about(const mesh::SocketEnds& ends) {
  if (!open()) return {};
  const bool v4 = ends.local.is_v4() && ends.remote.is_v4();
  DiagRequest query = diag_request(v4 ? AF_INET : AF_INET6, NLM_F_REQUEST, ++sequence_);
  query.request.idiag_states = ~0U;
  inet_diag_sockid& id = query.request.id;
  id.idiag_sport = htons(ends.local_port);
  id.idiag_dport = htons(ends.remote_port);
  write_diag_address(ends.local, v4, id.idiag_src);
  write_diag_address(ends.remote, v4, id.idiag_dst);
  id.idiag_cookie[0] = id.idiag_cookie[1] = ~0U;  // INET_DIAG_NOCOOKIE
  if (::send(socket_.get(), &query, sizeof query, 0) < 0) return {};
  std::array<std::byte, 8192> buffer;
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      socket_.reset();
      return {};
    }
    const std::span<const std::byte> answer(buffer.data(), static_cast<std::size_t>(got));
    const auto header = net::read_kernel_value<nlmsghdr>(answer);
    if (header.nlmsg_seq != sequence_) continue;
    if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || header.nlmsg_len < sizeof header ||
        header.nlmsg_len > answer.size())
      return {};
    const auto payload = answer.first(header.nlmsg_len).subspan(sizeof header);
    return {payload.begin(), payload.end()};
  }
}

}  // namespace sidetap
