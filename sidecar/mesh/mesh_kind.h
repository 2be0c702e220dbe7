// Recognizes the mesh of a pod by who listens in it. Pure.
//
// A mesh's proxy listens on ports of its own, and runs as a user of its own. Both are seen in the
// pod's network namespace without any right. It starts after the tap, restarts, and comes and goes,
// so the tap asks again and again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sidecar/mesh/socket_owners.h"

namespace sidetap::mesh {

enum class Kind : std::uint8_t {
  kNone,     ///< No proxy of a mesh listens.
  kIstio,    ///< Envoy and the agent, in a sidecar.
  kAmbient,  ///< Istio's ztunnel, whose sockets are in the pod's namespace.
  kLinkerd,
  kEnvoy,  ///< Another mesh with Envoy in a sidecar: Consul, Kuma.
};

/// "istio" and the like; a static string.
std::string_view kind_name(Kind kind);

struct MeshSettings {
  std::optional<Kind> kind{};          ///< Nothing: the listening sockets tell.
  std::vector<std::uint16_t> ports{};  ///< More ports of the proxy.
  /// Ports that are neither the proxy's nor the application's: the tap's own.
  std::vector<std::uint16_t> excluded{};
};

/// What is known of the pod's mesh at one moment. All lists are ascending, each entry once.
struct Mesh {
  Kind kind = Kind::kNone;
  /// Users whose connections to the application are legs. Not root: the application may be root
  /// too.
  std::vector<std::uint32_t> users;
  std::vector<std::uint16_t> proxy_ports;  ///< Of the proxy and its agent.
  /// Those of them where the proxy takes the connections of clients: few.
  std::vector<std::uint16_t> inbound;
  /// Those of them that take connections for any port of the application.
  std::vector<std::uint16_t> tunnels;
  /// Everybody else's. Empty without a mesh.
  std::vector<std::uint16_t> application_ports;

  bool is_proxy_port(std::uint16_t port) const;
  bool is_tunnel(std::uint16_t port) const;
  bool is_application_port(std::uint16_t port) const;
  bool is_proxy_user(std::uint32_t user) const;
  friend bool operator==(const Mesh&, const Mesh&) = default;
};

Mesh find_mesh(const MeshSettings& settings, std::span<const Listener> listeners);

}  // namespace sidetap::mesh
