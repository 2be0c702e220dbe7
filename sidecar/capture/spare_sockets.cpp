#include "sidecar/capture/spare_sockets.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

namespace sidetap::capture {
namespace {

// As many come back from a source that ends, before the next one takes its own.
constexpr std::size_t kOfOneSource = 2;

/// As a new socket, but for the interface that it may still be bound to: of that it captures
/// nothing.
bool reset(int descriptor) {
  sock_filter nothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
  const sock_fprog program{1, &nothing};
  const tpacket_req3 no_ring{};
  tpacket_stats_v3 statistics{};
  int error = 0;
  socklen_t statistics_size = sizeof statistics;
  socklen_t error_size = sizeof error;
  return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 &&
         setsockopt(descriptor, SOL_PACKET, PACKET_RX_RING, &no_ring, sizeof no_ring) == 0 &&
         getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &statistics_size) ==
             0 &&
         getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &error_size) == 0;
}

net::UniqueFd make_socket() {
  // Protocol 0: nothing is captured until bind().
  return net::UniqueFd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

void SpareSockets::reserve(std::size_t count) {
  most_ = count + kOfOneSource;
  while (kept_.size() < count) {
    net::UniqueFd made = make_socket();
    if (!made) return;
    kept_.push_back(std::move(made));
  }
}

Result<net::UniqueFd> SpareSockets::take() {
  net::UniqueFd made = make_socket();
  if (made) return made;
  const int code = errno;
  if (kept_.empty()) {
    Error error{std::string("packet socket: ") + std::strerror(code)};
    if (code == EPERM || code == EACCES)
      error.text += "; the container needs the capability NET_RAW";
    return error;
  }
  net::UniqueFd kept = std::move(kept_.back());
  kept_.pop_back();
  return kept;
}

void SpareSockets::give_back(net::UniqueFd socket) {
  if (socket && kept_.size() < most_ && reset(socket.get())) kept_.push_back(std::move(socket));
}

}  // namespace sidetap::capture
