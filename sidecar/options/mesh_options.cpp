#include "sidecar/options/mesh_options.h"

#include <algorithm>

#include "shared/tap/assigned.h"
#include "shared/tap/settings.h"
#include "sidecar/options/ownership_options.h"

namespace sidetap {
namespace {

std::size_t count_of_family(const std::vector<net::IpAddress>& addresses, bool v4) {
  return static_cast<std::size_t>(
      std::count_if(addresses.begin(), addresses.end(),
                    [v4](net::IpAddress address) { return address.is_v4() == v4; }));
}

}  // namespace

void declare_mesh_rules(config::OptionSet& options, MeshOptions& into) {
  options.add<std::optional<mesh::Kind>>(
      tap::kMeshKind,
      config::word<std::optional<mesh::Kind>>({{"auto", std::nullopt},
                                               {"istio", mesh::Kind::kIstio},
                                               {"ambient", mesh::Kind::kAmbient},
                                               {"linkerd", mesh::Kind::kLinkerd},
                                               {"envoy", mesh::Kind::kEnvoy}}),
      into.kind);
  options.add<std::vector<std::uint16_t>>(
      {.flag = "--mesh-ports",
       .env = "MESH_PORTS",
       .value = "PORT,...",
       .help = "further ports that the mesh's proxy listens on; the tap takes the user that "
               "listens there for the proxy's"},
      port_list(), into.ports);
}

void declare_mesh_client(config::OptionSet& options, MeshOptions& into) {
  options.add<std::vector<net::IpAddress>>(
      {.flag = "--mesh-client",
       .env = "MESH_CLIENT",
       .value = "ADDRESS,...",
       .help = "address to show as the client's in plaintext if the mesh hides the client; one for "
               "each family; if unset: the proxy's address, as the pod sees it (127.0.0.6)"},
      config::address_list(), into.clients);
}

void declare_mesh(config::OptionSet& options, MeshOptions& into) {
  options.add<MeshMode>(tap::kMesh.option,
                        config::word<MeshMode>({{"off", MeshMode::kOff},
                                                {"both", MeshMode::kBoth},
                                                {"plaintext", MeshMode::kPlaintext}}),
                        into.mode);
  declare_mesh_rules(options, into);
  declare_mesh_client(options, into);
  options.add_switch({.flag = "--mesh-cleartext-ok",
                      .env = "MESH_CLEARTEXT_OK",
                      .help = "forward the mesh's plaintext even to a sensor without TLS"},
                     into.cleartext_ok);
}

Result<void> check_mesh_client(const MeshOptions& options) {
  for (const net::IpAddress address : options.clients) {
    if (address.is_multicast() || address.is_unspecified() || address.is_limited_broadcast())
      return Error{"--mesh-client: " + address.to_string() + " is not a client's address"};
  }
  if (count_of_family(options.clients, true) > 1 || count_of_family(options.clients, false) > 1)
    return Error{"--mesh-client: accepted: at most one address of each family"};
  return {};
}

Result<void> check_mesh(const MeshOptions& options, bool encrypted) {
  if (options.mode == MeshMode::kOff) return {};
  if (auto client = check_mesh_client(options); !client) return client;
  if (!encrypted && !options.cleartext_ok)
    return Error{
        "--mesh: the plaintext of the mesh would leave the pod in the clear; set --sensor-tls, or "
        "--mesh-cleartext-ok where the path to the sensor is encrypted otherwise"};
  return {};
}

}  // namespace sidetap
