#include "sidecar/system/socket_owners.h"

#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace sidetap {
namespace {

net::IpAddress diag_address(std::uint8_t family, const __be32* words) {
  std::array<std::byte, 16> raw{};
  std::memcpy(raw.data(), words, raw.size());
  return family == AF_INET ? net::IpAddress::from_v4_bytes(std::span(raw).first<4>())
                           : net::IpAddress::from_v6_bytes(raw);
}

bool are_ends(const mesh::SocketEnds& a, const mesh::SocketEnds& b) {
  return a.local == b.local && a.local_port == b.local_port && a.remote == b.remote &&
         a.remote_port == b.remote_port;
}

}  // namespace

std::optional<SocketFacts> read_socket_facts(std::span<const std::byte> message) {
  inet_diag_msg raw{};
  if (message.size() < sizeof raw) return std::nullopt;
  std::memcpy(&raw, message.data(), sizeof raw);
  if (raw.idiag_family != AF_INET && raw.idiag_family != AF_INET6) return std::nullopt;
  SocketFacts facts;
  facts.ends.local = diag_address(raw.idiag_family, raw.id.idiag_src);
  facts.ends.local_port = ntohs(raw.id.idiag_sport);
  facts.ends.remote = diag_address(raw.idiag_family, raw.id.idiag_dst);
  facts.ends.remote_port = ntohs(raw.id.idiag_dport);
  facts.state = raw.idiag_state;
  facts.user = raw.idiag_uid;
  facts.inode = raw.idiag_inode;
  return facts;
}

Result<std::vector<mesh::Listener>> KernelSocketOwners::listeners() {
  std::vector<mesh::Listener> found;
  const auto done = diag_.listening([&found](std::span<const std::byte> message) {
    if (found.size() >= kMostListeners) return;
    const auto facts = read_socket_facts(message);
    if (facts && facts->state == TCP_LISTEN)
      found.push_back({facts->ends.local, facts->ends.local_port, facts->user});
  });
  if (!done) return Error{"sockets of the pod: " + done.error().text};
  return found;
}

std::optional<std::uint32_t> KernelSocketOwners::owner_of(const mesh::SocketEnds& ends) {
  const auto facts = read_socket_facts(diag_.about(ends));
  // Where there is no such connection, the kernel answers with who listens.
  if (!facts || !are_ends(facts->ends, ends) || facts->inode == 0) return std::nullopt;
  return facts->user;
}

bool KernelSocketOwners::has_socket(const mesh::SocketEnds& ends) {
  const auto facts = read_socket_facts(diag_.about(ends));
  return facts && are_ends(facts->ends, ends);
}

}  // namespace sidetap
