#include "webhook/serve/serve_options.h"

#include <iostream>

#include "webhook/coverage/label_selector.h"

namespace sidetap::webhook {
namespace {

void declare_addresses(config::OptionSet& options, ServeOptions& into) {
  options.add<net::HostPort>({.flag = "--listen",
                              .env = "SIDETAP_LISTEN",
                              .value = "[HOST]:PORT",
                              .fallback = ":8443",
                              .help = "where to answer admission reviews over HTTPS; no host: "
                                      "every address"},
                             config::listen_address(), into.listen);
  options.add<std::optional<net::HostPort>>(
      {.flag = "--status-listen",
       .env = "SIDETAP_STATUS_LISTEN",
       .value = "[HOST]:PORT",
       .help = "where to serve /healthz, /readyz and /metrics over HTTP; none: nowhere"},
      config::optional_listen_address(), into.status_listen);
  options.add<std::optional<net::HostPort>>(
      {.flag = "--page-listen",
       .env = "SIDETAP_PAGE_LISTEN",
       .value = "[HOST]:PORT",
       .help =
           "where to show the taps of the registry as a page over HTTP, without a log-in: use a "
           "loopback address and kubectl port-forward; none: nowhere"},
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
  options.add<std::string>(
      {.flag = "--client-ca",
       .env = "SIDETAP_CLIENT_CA",
       .value = "FILE",
       .help = "CAs, PEM, one of which must have signed a client's certificate; none: any client "
               "is served"},
      config::readable_file(), into.tls.client_ca);
}

void declare_registry(config::OptionSet& options, RegistryOptions& into) {
  options.add<std::optional<net::HostPort>>(
      {.flag = "--registry-listen",
       .env = "SIDETAP_REGISTRY_LISTEN",
       .value = "[HOST]:PORT",
       .help = "where taps learn which peers are tapped (WebSocket over TLS); none: nowhere"},
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
  options.add<bool>(
      {.flag = "--registry-services",
       .env = "SIDETAP_REGISTRY_SERVICES",
       .value = "WHETHER",
       .fallback = "false",
       .help = "true: watch Services and EndpointSlices through the API server, so that taps drop "
               "the views of Services whose backends are all tapped, and keep all others"},
      config::word<bool>({{"true", true}, {"false", false}}), into.services);
  options.add<bool>(
      {.flag = "--registry-nodes",
       .env = "SIDETAP_REGISTRY_NODES",
       .value = "WHETHER",
       .fallback = "true",
       .help =
           "with --registry-services, true: watch Nodes as well, so that taps drop the views of "
           "such Services at node ports; false, or without the right: they keep them"},
      config::word<bool>({{"true", true}, {"false", false}}), into.nodes);
  options.add<std::string>({.flag = "--registry-ca",
                            .env = "SIDETAP_REGISTRY_CA",
                            .value = "FILE",
                            .help = "CAs, PEM, by which taps know the registry; reloaded when it "
                                    "changes; none: the self-managed bundle, or the "
                                    "configuration's"},
                           config::readable_file(), into.ca_file);
}

void declare_identity(config::OptionSet& options, RegistryOptions& into) {
  options.add<bool>(
      {.flag = "--identity-api",
       .env = "SIDETAP_IDENTITY_API",
       .value = "WHETHER",
       .fallback = "true",
       .help =
           "with --registry-auth token, true: tell on the registry's port which pods have which "
           "addresses, to those who may get /v1/taps and /v1/identities"},
      config::word<bool>({{"true", true}, {"false", false}}), into.identity_api);
  options.add<std::string>(
      {.flag = "--identity-dir",
       .env = "SIDETAP_IDENTITY_DIR",
       .value = "DIR",
       .help =
           "folder for identities.jsonl and identities.tsv, which say which pod has an address, "
           "for Arkime, Suricata and Zeek; of this process alone; none: no files"},
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
       .help = "most addresses with their pods that the registry remembers, current and former; "
               "what ended first is forgotten first"},
      config::number<std::size_t>(1'000, 10'000'000, "entries"), into.identity_entries);
}

void declare_observers(config::OptionSet& options, ObserverOptions& into) {
  options.add<bool>(
      {.flag = "--coverage",
       .env = "SIDETAP_COVERAGE",
       .value = "WHETHER",
       .fallback = "off",
       .help = "on: follow pods and namespaces through the API server, and tell by metrics and at "
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
       .help = "on: create an Event on the owner of a pod that is not injected although somebody "
               "asks for it, or is injected otherwise than its annotations say"},
      config::on_off(), into.events);
  options.add<bool>(
      {.flag = "--tap-events",
       .env = "SIDETAP_TAP_EVENTS",
       .value = "WHETHER",
       .fallback = "off",
       .help = "with --registry-auth token, on: create an Event on a pod whose tap has had no "
               "sensor for a minute, and when it has one again"},
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
       .help = "how long to go on serving after SIGTERM, still ready; longer than Endpoints take "
               "to reach every API server"},
      config::number<std::uint32_t>(0, 3600, "seconds"), into.drain_seconds);
  options.add<std::size_t>(
      {.flag = "--max-connections",
       .env = "SIDETAP_MAX_CONNECTIONS",
       .value = "NUMBER",
       .fallback = "20000",
       .help = "further connections are closed at once; no more than open files allow"},
      config::number<std::size_t>(1, 1'000'000, "connections"), into.max_connections);
  options.add<std::uint64_t>({.flag = "--max-body",
                              .env = "SIDETAP_MAX_BODY",
                              .value = "BYTES",
                              .fallback = "10M",
                              .help = "largest review; all that are being received may together "
                                      "take 64M, or four times this where that is more"},
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
  if (options.page_listen) return Error{"--page-listen: goes with --registry-listen"};
  if (options.observers.tap_events)
    return Error{"--tap-events: goes with --registry-listen, which taps report to"};
  return {};
}

}  // namespace

void declare(config::OptionSet& options, ServeOptions& into) {
  declare_addresses(options, into);
  declare_tls(options, into);
  certificates::declare_self_managed(options, into.self_managed);
  options.add<std::string>(
      {.flag = "--config",
       .env = "SIDETAP_CONFIG",
       .value = "FILE",
       .help = "what to inject and where, JSON or YAML; reloaded when it changes; none: built-in "
               "defaults"},
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
