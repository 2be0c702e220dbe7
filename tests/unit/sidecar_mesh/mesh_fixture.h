// A pod with a mesh, as its sockets tell it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/mesh/socket_owners.h"
#include "tests/support/addresses.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap::mesh {

inline constexpr std::uint32_t kProxyUser = 1337;
inline constexpr std::uint32_t kAppUser = 1000;
inline constexpr std::string_view kPod = "10.0.0.1";
inline constexpr std::string_view kPod6 = "fd00::1";

/// Sockets as a test lists them.
class FakeOwners final : public SocketOwners {
 public:
  Result<std::vector<Listener>> listeners() override { return listening; }
  std::optional<std::uint32_t> owner_of(const SocketEnds& ends) override {
    ++asked;
    const auto found = find(ends);
    return found == sockets.end() ? std::nullopt : std::optional(found->second);
  }
  bool has_socket(const SocketEnds& ends) override {
    ++looked;
    return find(ends) != sockets.end();
  }

  void open(std::string_view local, std::uint16_t local_port, std::string_view remote,
            std::uint16_t remote_port, std::uint32_t user) {
    sockets.push_back({{ip(local), local_port, ip(remote), remote_port}, user});
  }

  std::vector<Listener> listening;
  std::vector<std::pair<SocketEnds, std::uint32_t>> sockets;
  unsigned asked = 0;   // for owners
  unsigned looked = 0;  // for sockets

 private:
  std::vector<std::pair<SocketEnds, std::uint32_t>>::iterator find(const SocketEnds& ends) {
    return std::find_if(sockets.begin(), sockets.end(), [&](const auto& each) {
      const SocketEnds& known = each.first;
      return known.local == ends.local && known.local_port == ends.local_port &&
             known.remote == ends.remote && known.remote_port == ends.remote_port;
    });
  }
};

/// The proxy's ports and the application on 8080 and 5432, all on every address.
inline std::vector<Listener> listeners_of(std::initializer_list<std::uint16_t> proxy,
                                          std::uint32_t user = kProxyUser) {
  std::vector<Listener> all;
  for (const std::uint16_t port : proxy) all.push_back({ip("0.0.0.0"), port, user});
  all.push_back({ip("0.0.0.0"), 8080, kAppUser});
  all.push_back({ip("127.0.0.1"), 5432, kAppUser + 1});
  return all;
}

inline Mesh istio() {
  return find_mesh({}, listeners_of({15000, 15001, 15006, 15020, 15021, 15090}));
}
inline Mesh ambient() { return find_mesh({}, listeners_of({15001, 15006, 15008, 15053}, 0)); }
inline Mesh linkerd() { return find_mesh({}, listeners_of({4140, 4143, 4190, 4191}, 2102)); }
inline Mesh consul() { return find_mesh({}, listeners_of({15001, 19000, 20000}, 5995)); }

}  // namespace sidetap::mesh
