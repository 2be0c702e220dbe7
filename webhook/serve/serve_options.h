// Options of `sidetap-webhook serve`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "shared/config/options.h"
#include "shared/http/tls_context.h"
#include "shared/net/host_port.h"
#include "shared/telemetry/log.h"
#include "webhook/certificates/options.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::webhook {

/// Options of the registry of taps, which has a port of its own.
struct RegistryOptions {
  std::optional<net::HostPort> listen;
  bool tokens = true;  ///< Taps authenticate with service account tokens.
  std::string audience;
  bool services = false;  ///< Watches Services, to find those whose backends are all tapped.
  bool nodes = true;      ///< With Services, watches Nodes.
  std::string ca_file;    ///< CA for taps. Empty: the self-managed bundle or the configuration.
  std::string identity_folder;  ///< For the files of identities. Empty: none.
  std::int64_t identity_keep_ms = 0;
  std::size_t identity_entries = 0;
  bool identity_api = true;  ///< With tokens, gives identities out to those who may ask.
};

/// What the webhook looks at besides reviews and taps, and whom it tells.
struct ObserverOptions {
  bool coverage = false;  ///< Follows pods and namespaces.
  configuration::LabelSelector coverage_selector;
  bool events = false;
  bool tap_events = false;
};

struct ServeOptions {
  net::HostPort listen;
  std::optional<net::HostPort> status_listen;
  std::optional<net::HostPort> page_listen;
  http::TlsFiles tls;  ///< Certificate and key are empty when self-managed.
  certificates::SelfManagedOptions self_managed;
  RegistryOptions registry;
  ObserverOptions observers;
  std::string configuration;  ///< Empty: built-in defaults.
  unsigned threads = 2;
  std::uint32_t drain_seconds = 0;
  std::size_t max_connections = 0;
  std::uint64_t max_body_bytes = 0;
  telemetry::LogFormat log_format = telemetry::LogFormat::kJson;
  telemetry::LogLevel log_level = telemetry::LogLevel::kInfo;
};

/// Declares the options; `into` must outlive the set.
void declare(config::OptionSet& options, ServeOptions& into);

/// Prints help or an error line, as OptionSet::parse() does.
config::ParseResult parse_serve_options(std::span<const char* const> arguments,
                                        const config::OptionSet::Environment& environment,
                                        ServeOptions& into);

}  // namespace sidetap::webhook
