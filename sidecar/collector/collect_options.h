// The options of `sidetap-sidecar collect`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "shared/config/options.h"
#include "shared/http/tls_context.h"
#include "shared/net/cidr.h"
#include "shared/net/host_port.h"
#include "sidecar/collector/tap_server.h"
#include "sidecar/options/options.h"
#include "sidecar/options/registry_options.h"

namespace sidetap::collector {

struct CollectOptions {
  /// What a tap has too. Its password is read by check(), like that of a tap.
  RunOptions sensors;
  /// Towards taps. check() fills in what depends on other options, and reads the password.
  TapServerConfig taps;
  std::string tap_password_file;
  http::TlsFiles tls;  ///< Without a certificate, plain.
  std::int64_t stats_interval_ms = 0;
  std::uint16_t data_ports = 0;         ///< For datagrams, from TapServerConfig::data_port on.
  std::uint64_t receive_buffer = 0;     ///< Bytes, of the first port for datagrams.
  std::uint64_t incomplete_memory = 0;  ///< Bytes, see ReceiverConfig::memory.
  std::string interface;                ///< The name that sensors see.
  /// Only where it is, and how to ask it. The CA is as of RegistryFeedConfig.
  RegistryOptions registry;
  bool admit_unproven = true;  ///< As of ProofConfig.
  std::int64_t drain_ms = 0;   ///< At the end, for taps to move by themselves.
};

/// Declares the options; `into` must outlive the set.
void declare(config::OptionSet& options, CollectOptions& into);

/// Checks options that depend on each other, and derives one from another.
Result<void> check(CollectOptions& options);

/// Parses and checks the options. Prints what config::OptionSet::parse() prints.
config::ParseResult parse_collect_options(std::span<const char* const> arguments,
                                          const config::OptionSet::Environment& environment,
                                          CollectOptions& into);

}  // namespace sidetap::collector
