// The options for pods of a service mesh. A running tap and `explain` share some of them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shared/config/options.h"
#include "shared/net/ip_address.h"
#include "shared/result.h"
#include "sidecar/mesh/mesh_kind.h"

namespace sidetap {

enum class MeshMode : std::uint8_t {
  kOff,        ///< The loopback interface is not captured.
  kBoth,       ///< The plaintext too.
  kPlaintext,  ///< The plaintext instead of the ciphertext.
};

struct MeshOptions {
  MeshMode mode = MeshMode::kOff;
  std::optional<mesh::Kind> kind;         ///< Nothing: who listens in the pod tells.
  std::vector<net::IpAddress> clients{};  ///< One of each family at most.
  std::vector<std::uint16_t> ports{};     ///< More ports of the proxy.
  bool cleartext_ok = false;              ///< Plaintext may leave the pod without TLS.
};

/// Declares --mesh and all others; `into` must outlive the set.
void declare_mesh(config::OptionSet& options, MeshOptions& into);
/// Those that tell what is a leg.
void declare_mesh_rules(config::OptionSet& options, MeshOptions& into);
/// The one that tells how its client is shown.
void declare_mesh_client(config::OptionSet& options, MeshOptions& into);

/// Error: an address cannot be a client's, or there are two of one family.
Result<void> check_mesh_client(const MeshOptions& options);
/// `encrypted`: what leaves the pod is encrypted, or does not leave the pod. Error: the options do
/// not go together, or plaintext would leave the pod in the clear.
Result<void> check_mesh(const MeshOptions& options, bool encrypted);

}  // namespace sidetap
