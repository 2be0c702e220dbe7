#include "sidecar/mesh/mesh_kind.h"

#include <algorithm>
#include <array>

namespace sidetap::mesh {
namespace {

using Ports = std::span<const std::uint16_t>;

// As the documents and sources of the meshes name them.
constexpr std::array<std::uint16_t, 12> kIstioPorts = {15000, 15001, 15002, 15003, 15004, 15006,
                                                       15008, 15009, 15020, 15021, 15053, 15090};
constexpr std::array<std::uint16_t, 4> kAmbientPorts = {15001, 15006, 15008, 15053};
constexpr std::array<std::uint16_t, 4> kLinkerdPorts = {4140, 4143, 4190, 4191};
constexpr std::array<std::uint16_t, 5> kKumaPorts = {9901, 9902, 15001, 15006, 15010};
constexpr std::array<std::uint16_t, 6> kConsulPorts = {15001, 19000, 19001, 20000, 20200, 20201};

// Only these tell whose user the proxy's is: an application may use another of the ports above.
constexpr std::array<std::uint16_t, 1> kIstioInbound = {15006};
constexpr std::array<std::uint16_t, 2> kAmbientInbound = {15006, 15008};
constexpr std::array<std::uint16_t, 1> kLinkerdInbound = {4143};
constexpr std::array<std::uint16_t, 2> kKumaInbound = {15006, 15010};
constexpr std::array<std::uint16_t, 1> kConsulInbound = {20000};

constexpr std::array<std::uint16_t, 1> kAmbientTunnels = {15008};

struct KindFacts {
  std::string_view name;
  Ports ports;
  Ports inbound;
  Ports tunnels;
};

/// `consul`: of the meshes that are one kind here, that one.
KindFacts facts_of(Kind kind, bool consul) {
  switch (kind) {
    case Kind::kIstio:
      return {"istio", kIstioPorts, kIstioInbound, kAmbientTunnels};
    case Kind::kAmbient:
      return {"ambient", kAmbientPorts, kAmbientInbound, kAmbientTunnels};
    case Kind::kLinkerd:
      return {"linkerd", kLinkerdPorts, kLinkerdInbound, kLinkerdInbound};
    case Kind::kEnvoy:
      if (consul) return {"envoy", kConsulPorts, kConsulInbound, kConsulInbound};
      return {"envoy", kKumaPorts, kKumaInbound, {}};
    case Kind::kNone:
      break;
  }
  return {"none", {}, {}, {}};
}

template <typename List, typename Value>
bool has(const List& list, Value value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

template <typename Value>
void make_set(std::vector<Value>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

bool is_listening(std::span<const Listener> listeners, std::uint16_t port) {
  return std::any_of(listeners.begin(), listeners.end(),
                     [port](const Listener& each) { return each.port == port; });
}

Kind recognize(std::span<const Listener> listeners) {
  const auto listens = [&](std::uint16_t port) { return is_listening(listeners, port); };
  // Each by two ports at least: one may be an application's.
  const bool agent = listens(15020) || listens(15021) || listens(15090);
  if (listens(15006) && agent) return Kind::kIstio;
  if (listens(15008) && listens(15006)) return Kind::kAmbient;
  if (listens(4143) && (listens(4140) || listens(4191))) return Kind::kLinkerd;
  if ((listens(15006) || listens(20000)) && listens(15001)) return Kind::kEnvoy;
  return Kind::kNone;
}

bool contains(const std::vector<std::uint16_t>& ascending, std::uint16_t port) {
  return std::binary_search(ascending.begin(), ascending.end(), port);
}

}  // namespace

std::string_view kind_name(Kind kind) { return facts_of(kind, false).name; }

bool Mesh::is_proxy_port(std::uint16_t port) const { return contains(proxy_ports, port); }
bool Mesh::is_tunnel(std::uint16_t port) const { return contains(tunnels, port); }
bool Mesh::is_application_port(std::uint16_t port) const {
  return contains(application_ports, port);
}
bool Mesh::is_proxy_user(std::uint32_t user) const {
  return std::binary_search(users.begin(), users.end(), user);
}

Mesh find_mesh(const MeshSettings& settings, std::span<const Listener> listeners) {
  const Kind kind = settings.kind.value_or(recognize(listeners));
  // Otherwise 20000 is an ordinary port, of the application perhaps.
  const KindFacts facts = facts_of(kind, !is_listening(listeners, 15006));
  Mesh mesh;
  for (const Listener& each : listeners) {
    if (!has(facts.inbound, each.port) && !has(settings.ports, each.port)) continue;
    mesh.kind = kind;  // somebody takes its connections, even where the kind is set
    mesh.inbound.push_back(each.port);
    if (each.user != 0) mesh.users.push_back(each.user);
  }
  if (mesh.kind == Kind::kNone) return {};
  make_set(mesh.inbound);
  make_set(mesh.users);
  for (const Listener& each : listeners) {
    const bool known = has(facts.ports, each.port) || has(settings.ports, each.port);
    if (known || mesh.is_proxy_user(each.user)) mesh.proxy_ports.push_back(each.port);
  }
  make_set(mesh.proxy_ports);
  for (const std::uint16_t port : mesh.proxy_ports)
    if (has(facts.tunnels, port)) mesh.tunnels.push_back(port);
  for (const Listener& each : listeners) {
    if (!mesh.is_proxy_port(each.port) && !has(settings.excluded, each.port))
      mesh.application_ports.push_back(each.port);
  }
  make_set(mesh.application_ports);
  return mesh;
}

}  // namespace sidetap::mesh
