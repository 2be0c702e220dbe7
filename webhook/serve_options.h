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

namespace sidetap::webhook {

struct ServeOptions {
  net::HostPort listen;
  std::optional<net::HostPort> status_listen;
  http::TlsFiles tls;
  std::string configuration;  ///< Empty: built-in defaults.
  unsigned threads = 2;
  std::uint32_t drain_seconds = 0;
  std::size_t max_connections = 0;
  std::uint64_t max_body_bytes = 0;
  telemetry::LogFormat log_format = telemetry::LogFormat::kJson;
  telemetry::LogLevel log_level = telemetry::LogLevel::kInfo;
};

/// Prints help or an error line itself, as OptionSet::parse.
config::ParseResult parse_serve_options(std::span<const char* const> arguments,
                                        const config::OptionSet::Environment& environment,
                                        ServeOptions& into);

}  // namespace sidetap::webhook
