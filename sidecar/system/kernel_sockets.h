// Queries the kernel for what the engine needs to know about this network namespace.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/ownership/server_rules.h"
#include "sidecar/system/sock_diag.h"

namespace sidetap {

/// LISTEN sockets of the own namespace. An answer is cached for `share` times as long as the query
/// took, but at most one second. A burst of flows first seen midway thus takes at most one part in
/// `share` of the thread's time. If the kernel does not answer, the last answer stays valid
/// (initially: nothing listens). For one thread.
class KernelListeningSockets final : public ownership::ListeningSockets {
 public:
  explicit KernelListeningSockets(unsigned share = 50) : share_(share) {}

  bool is_listening(net::IpAddress local, std::uint16_t port) override;
  /// Queries the kernel now. On an error, the last answer stays valid.
  Result<void> refresh();

 private:
  struct Listener {
    net::IpAddress address;
    std::uint16_t port = 0;
    bool every_v4 = false;
    bool every_v6 = false;
  };
  static void read_answer(std::span<const std::byte> payload, std::vector<Listener>& into);

  unsigned share_;
  std::chrono::steady_clock::time_point keep_until_{};
  SockDiag diag_;
  std::vector<Listener> listeners_;
};

/// Parses "32768\t60999\n", the text of net.ipv4.ip_local_port_range, which also applies to IPv6.
Result<ownership::PortRange> parse_port_range(std::string_view text);
/// This namespace's range. The caller falls back to ownership::PortRange{}, the kernel's default.
Result<ownership::PortRange> read_port_range(
    const std::string& file = "/proc/sys/net/ipv4/ip_local_port_range");

}  // namespace sidetap
