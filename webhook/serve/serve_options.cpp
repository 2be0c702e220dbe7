#include "webhook/serve/serve_options.h"

#include <iostream>

#include "webhook/coverage/label_selector.h"

namespace sidetap::webhook {
namespace {

void declare_addresses(config::OptionSet& options, ServeOptions& into) {
  options.add<net::HostPort>(
      {.flag = "--listen",
       .env = "SIDETAP_LISTEN",
       .value = "[HOST]:PORT",
       .fallback = ":8443",
       .help = "address to answer admission reviews on, over HTTPS; without a host: every address"},
      config::listen_address(), into.listen);
  options.add<std::optional<net::HostPort>>(
      {.flag = "--status-listen",
       .env = "SIDETAP_STATUS_LISTEN",
       .value = "[HOST]:PORT",
       .help = "address to serve /healthz, /readyz and /metrics on, over HTTP; if unset: they are "
               "not served"},
      config::optional_listen_address(), into.status_listen);
  options.add<std::optional<net::HostPort>>(
      {.flag = "--page-listen",
       .env = "SIDETAP_PAGE_LISTEN",
       .value = "[HOST]:PORT",
       .help = "address to serve the page of the registry's taps on, over HTTP and without a "
               "login; use a loopback address and kubectl port-forward; if unset: no page"},
      config::optional_listen_address(), into.page_listen);
}

void declare_tls(config::OptionSet& options, ServeOptions& into) {
  options.add<bool>({.flag = "--certs",
                     .env = "SIDETAP_CERTS",
                     .value = "MODE",
                     .fallback = "files",
                     .help = "files: --tls-cert and --tls-key; self-managed: the webhook makes and "
                             "renews its certificates through the API server"},
                    config::word<bool>({{"files", false}, {"self-managed", true}}),
                    into.self_managed.enabled);
  options.add<std::string>({.flag = "--tls-cert",
                            .env = "SIDETAP_TLS_CERT",
                            .value = "FILE",
                            .help = "certificate and its issuers, PEM; reloaded when it changes"},
                           config::readable_file(), into.tls.certificate);
  options.add<std::string>({.flag = "--tls-key",
                            .env = "SIDETAP_TLS_KEY",
                            .value = "FILE",
                            .help = "key of the certificate, PEM; reloaded when it changes"},
                           config::readable_file(), into.tls.key);
  options.add<std::string>({.flag = "--client-ca",
                            .env = "SIDETAP_CLIENT_CA",
                            .value = "FILE",
                            .help = "CAs, PEM, one of which must have signed a client's "
                                    "certificate; if unset: any client is served"},
                           config::readable_file(), into.tls.client_ca);
}

void declare_registry(config::OptionSet& options, RegistryOptions& into) {
  options.add<std::optional<net::HostPort>>(
      {.flag = "--registry-listen",
       .env = "SIDETAP_REGISTRY_LISTEN",
       .value = "[HOST]:PORT",
       .help = "address where taps learn which peers are tapped (WebSocket over TLS); if unset: no "
               "registry"},
      config::optional_listen_address(), into.listen);
  options.add<bool>({.flag = "--registry-auth",
                     .env = "SIDETAP_REGISTRY_AUTH",
                     .value = "HOW",
                     .fallback = "token",
                     .help = "token: a tap proves by its service account token which pod it is; "
                             "none: anybody may register, for demonstrations on one machine"},
                    config::word<bool>({{"token", true}, {"none", false}}), into.tokens);
  options.add<std::string>({.flag = "--registry-audience",
                            .env = "SIDETAP_REGISTRY_AUDIENCE",
                            .value = "NAME",
                            .fallback = "sidetap",
                            .help = "audience that a tap's token must have"},
                           config::any_text(), into.audience);
  options.add<bool>({.flag = "--registry-services",
                     .env = "SIDETAP_REGISTRY_SERVICES",
                     .value = "WHETHER",
                     .fallback = "false",
                     .help = "true: watch Services and EndpointSlices through the API server, so "
                             "that a client's tap leaves the packets of a Service to the backends' "
                             "taps if all backends are tapped, and forwards them otherwise"},
                    config::word<bool>({{"true", true}, {"false", false}}), into.services);
  options.add<bool>({.flag = "--registry-nodes",
                     .env = "SIDETAP_REGISTRY_NODES",
                     .value = "WHETHER",
                     .fallback = "true",
                     .help = "with --registry-services, true: watch Nodes as well, so that the "
                             "same holds for packets to node ports; false, or without the right to "
                             "watch Nodes: clients' taps forward them"},
                    config::word<bool>({{"true", true}, {"false", false}}), into.nodes);
  options.add<std::string>(
      {.flag = "--registry-ca",
       .env = "SIDETAP_REGISTRY_CA",
       .value = "FILE",
       .help = "CAs, PEM, by which taps verify the registry; reloaded when it changes; if unset: "
               "the self-managed bundle, or the CA in the configuration file"},
      config::readable_file(), into.ca_file);
}

void declare_identity(config::OptionSet& options, RegistryOptions& into) {
  options.add<bool>(
      {.flag = "--identity-api",
       .env = "SIDETAP_IDENTITY_API",
       .value = "WHETHER",
       .fallback = "true",
       .help = "with --registry-auth token, true: serve on the registry's port which pods have "
               "which addresses, for clients that may get /v1/taps and /v1/identities"},
      config::word<bool>({{"true", true}, {"false", false}}), into.identity_api);
  options.add<std::string>({.flag = "--identity-dir",
                            .env = "SIDETAP_IDENTITY_DIR",
                            .value = "DIR",
                            .help = "folder for identities.jsonl and identities.tsv, which say "
                                    "which pod has an address, for Arkime, Suricata and Zeek; each "
                                    "process needs a folder of its own; if unset: no files"},
                           config::any_text(), into.identity_folder);
  options.add<std::int64_t>(
      {.flag = "--identity-keep",
       .env = "SIDETAP_IDENTITY_KEEP",
       .value = "DURATION",
       .fallback = "24h",
       .help = "how long the registry remembers which pod had an address that it no longer has"},
      config::duration_ms(1'000, 2'592'000'000), into.identity_keep_ms);
  options.add<std::size_t>(
      {.flag = "--identity-entries",
       .env = "SIDETAP_IDENTITY_ENTRIES",
       .value = "NUMBER",
       .fallback = "200000",
       .help = "maximum number of addresses, current and former, for which the registry remembers "
               "the pod; it forgets first what ended first"},
      config::number<std::size_t>(1'000, 10'000'000, "entries"), into.identity_entries);
}

void declare_observers(config::OptionSet& options, ObserverOptions& into) {
  options.add<bool>(
      {.flag = "--coverage",
       .env = "SIDETAP_COVERAGE",
       .value = "WHETHER",
       .fallback = "off",
       .help = "on: watch pods and namespaces through the API server, and report by metrics and at "
               "/v1/coverage which selected pods have no tap, and why"},
      config::on_off(), into.coverage);
  options.add<coverage::LabelSelector>(
      {.flag = "--coverage-selector",
       .env = "SIDETAP_COVERAGE_SELECTOR",
       .value = "SELECTOR",
       .fallback = "kubernetes.io/metadata.name notin (kube-system,kube-public,kube-node-lease)",
       .help = "with --coverage on, a label selector for the namespaces whose pods the webhook is "
               "asked about; the label sidetap.io/inject narrows it further"},
      config::Parser<coverage::LabelSelector>(coverage::parse_label_selector),
      into.coverage_selector);
  options.add<bool>(
      {.flag = "--events",
       .env = "SIDETAP_EVENTS",
       .value = "WHETHER",
       .fallback = "off",
       .help = "on: create an Event on the owner of a pod that gets no tap although its labels or "
               "annotations ask for one, or whose tap differs from what its annotations say"},
      config::on_off(), into.events);
  options.add<bool>(
      {.flag = "--tap-events",
       .env = "SIDETAP_TAP_EVENTS",
       .value = "WHETHER",
       .fallback = "off",
       .help = "with --registry-auth token, on: create an Event on a pod whose tap has had no "
               "sensor for a minute, and another one when it has one again"},
      config::on_off(), into.tap_events);
}

void declare_limits(config::OptionSet& options, ServeOptions& into) {
  options.add<unsigned>({.flag = "--threads",
                         .env = "SIDETAP_THREADS",
                         .value = "NUMBER",
                         .fallback = "2",
                         .help = "threads that answer reviews"},
                        config::number<unsigned>(1, 256, "threads"), into.threads);
  options.add<std::uint32_t>(
      {.flag = "--drain-seconds",
       .env = "SIDETAP_DRAIN_SECONDS",
       .value = "SECONDS",
       .fallback = "10",
       .help = "how long to go on serving after SIGTERM, still ready; choose more than changed "
               "Endpoints take to reach every API server"},
      config::number<std::uint32_t>(0, 3600, "seconds"), into.drain_seconds);
  options.add<std::size_t>({.flag = "--max-connections",
                            .env = "SIDETAP_MAX_CONNECTIONS",
                            .value = "NUMBER",
                            .fallback = "20000",
                            .help = "maximum number of connections; further ones are closed at "
                                    "once; the limit of open files may allow fewer"},
                           config::number<std::size_t>(1, 1'000'000, "connections"),
                           into.max_connections);
  options.add<std::uint64_t>(
      {.flag = "--max-body",
       .env = "SIDETAP_MAX_BODY",
       .value = "BYTES",
       .fallback = "10M",
       .help = "maximum size of a review; all reviews that are being received may together take "
               "64M, or four times this if that is more"},
      config::byte_size(1024, 1u << 30), into.max_body_bytes);
}

void declare_log(config::OptionSet& options, ServeOptions& into) {
  options.add<telemetry::LogFormat>({.flag = "--log-format",
                                     .env = "SIDETAP_LOG_FORMAT",
                                     .value = "FORMAT",
                                     .fallback = "json",
                                     .help = "text or json, one line per event"},
                                    config::word(telemetry::log_format_words()), into.log_format);
  options.add<telemetry::LogLevel>({.flag = "--log-level",
                                    .env = "SIDETAP_LOG_LEVEL",
                                    .value = "LEVEL",
                                    .fallback = "info",
                                    .help = "debug, info (one line per review), warn or error"},
                                   config::word(telemetry::log_level_words()), into.log_level);
}

/// Options that depend on each other.
Result<void> check(const ServeOptions& options) {
  if (!options.self_managed.enabled && (options.tls.certificate.empty() || options.tls.key.empty()))
    return Error{"--tls-cert and --tls-key are required, unless --certs is self-managed"};
  if (options.registry.listen) return {};
  if (options.page_listen) return Error{"--page-listen: needs --registry-listen"};
  if (options.observers.tap_events)
    return Error{"--tap-events: needs --registry-listen, where taps report"};
  return {};
}

}  // namespace

void declare(config::OptionSet& options, ServeOptions& into) {
  declare_addresses(options, into);
  declare_tls(options, into);
  certificates::declare_self_managed(options, into.self_managed);
  options.add<std::string>({.flag = "--config",
                            .env = "SIDETAP_CONFIG",
                            .value = "FILE",
                            .help = "file that says what to inject and where, JSON or YAML; "
                                    "reloaded when it changes; if unset: built-in defaults"},
                           config::readable_file(), into.configuration);
  declare_registry(options, into.registry);
  declare_identity(options, into.registry);
  declare_observers(options, into.observers);
  declare_limits(options, into);
  declare_log(options, into);
}

config::ParseResult parse_serve_options(std::span<const char* const> arguments,
                                        const config::OptionSet::Environment& environment,
                                        ServeOptions& into) {
  config::OptionSet options("sidetap-webhook serve",
                            "Answers the admission reviews of API servers over HTTPS.");
  declare(options, into);
  const auto result = options.parse(arguments, environment);
  if (result != config::ParseResult::kRun) return result;
  if (const auto checked = check(into); !checked) {
    std::cerr << "sidetap-webhook serve: " << checked.error().text << '\n';
    return config::ParseResult::kError;
  }
  return result;
}

}  // namespace sidetap::webhook
