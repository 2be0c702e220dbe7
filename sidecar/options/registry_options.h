// The options with which a tap finds the registry and proves its pod's identity.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/config/options.h"
#include "shared/net/host_port.h"

namespace sidetap {

struct RegistryOptions {
  std::optional<net::HostPort> address;  ///< Nothing: no registry; --tapped-peers applies.
  std::string ca;                        ///< PEM text; a collector's may be a file's name.
  std::string server_name;
  std::string token_file;  ///< tap::kTokenFromOrders: it comes by --stdin-orders.
  std::int64_t grace_ms = 15'000;
  bool native_sidecar = false;
  std::string profile;  ///< To ask for; empty: none.
  /// What the registry may change while the tap runs, of tap::kControls and in their order.
  std::vector<std::string> control;
};

/// Of an address of the registry, with its default port.
config::Parser<std::optional<net::HostPort>> registry_address();
/// Certificates: `text_or_file` itself if it is PEM, else what is in the file of this name.
Result<std::string> read_pem(const std::string& text_or_file);
/// Of certificates: the webhook passes them as text, and people have them in a file.
config::Parser<std::string> pem_text_or_file();

/// Declares the options; `into` must outlive the set.
void declare_registry(config::OptionSet& options, RegistryOptions& into);

/// Checks options that depend on each other. The Error is the line to print.
Result<void> check_registry(const RegistryOptions& options);

}  // namespace sidetap
