// The options of a tap, set by an operator or, on their behalf, by the webhook.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shared/config/options.h"
#include "shared/net/host_port.h"
#include "shared/telemetry/log.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/delivery/output_options.h"
#include "sidecar/fidelity/restorer.h"
#include "sidecar/options/mesh_options.h"
#include "sidecar/options/ownership_options.h"
#include "sidecar/options/registry_options.h"
#include "sidecar/path/narrowing.h"
#include "sidecar/session/sessions.h"

namespace sidetap {

struct RunOptions {
  /// `password` comes from password_file; its snaplen is no option, see `narrowing`.
  session::SessionsConfig sessions;
  std::string password_file;
  std::vector<net::Cidr> passive_allow;  ///< Clients that may connect. Empty: all.
  std::size_t passive_sessions = 0;
  OutputOptions output;
  std::vector<rpcap::Ipv6Family> ipv6_families;  ///< One for all sensors, or one for each.
  std::string pod_name;
  std::string pod_namespace;
  std::string node_name;

  OwnershipOptions ownership;
  RegistryOptions registry;
  std::vector<std::string> interfaces;  ///< Empty: the one that holds the pod's address.
  capture::CaptureMethod capture_method = capture::CaptureMethod::kAuto;
  std::uint64_t buffer_size = 0;
  std::int64_t flush_interval_ms = 0;
  fidelity::RestorerConfig fidelity;
  Narrowing narrowing;
  MeshOptions mesh;
  /// Bytes, of all interfaces together. Nothing: what the memory limit leaves.
  std::optional<std::uint64_t> backlog;

  bool stdin_orders = false;
  std::int64_t run_for_ms = 0;  ///< 0: until it is told to stop.
  bool sandbox = true;
  std::optional<net::HostPort> status_listen;
  telemetry::LogFormat log_format = telemetry::LogFormat::kText;
  telemetry::LogLevel log_level = telemetry::LogLevel::kInfo;
};

/// Declares the options of `sidetap-sidecar run`; `into` must outlive the set.
void declare(config::OptionSet& options, RunOptions& into);

/// Declares those of them that a collector has too: what it does towards sensors, and the process.
void declare_towards_sensors(config::OptionSet& options, RunOptions& into);

/// The environment in which EXTRAHOP_SENSOR_IP and RPCAPD_TARGET_PORT, the variables of the seed
/// DaemonSet, replace SENSOR if that is not set.
config::OptionSet::Environment with_sensor_aliases(config::OptionSet::Environment environment);

/// Checks options that depend on each other, derives one from another, removes sensors that are
/// named twice, and reads the password.
Result<void> check(RunOptions& options);
/// The same without the password, and without reading any file.
Result<void> check_values(RunOptions& options);

/// Parses and checks the options. Prints what config::OptionSet::parse() prints.
config::ParseResult parse_run_options(std::span<const char* const> arguments,
                                      const config::OptionSet::Environment& environment,
                                      RunOptions& into);

}  // namespace sidetap
