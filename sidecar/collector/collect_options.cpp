#include "sidecar/collector/collect_options.h"

#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "shared/read_file.h"
#include "shared/tap/assigned.h"

namespace sidetap::collector {
namespace {

void declare_ports(config::OptionSet& options, CollectOptions& into) {
  options.add<net::HostPort>({.flag = "--listen",
                              .env = "LISTEN",
                              .value = "[HOST]:PORT",
                              .fallback = ":2003",
                              .help = "address where taps connect; without a host: every address"},
                             config::listen_address(2003), into.taps.listen);
  options.add<std::uint16_t>(
      {.flag = "--data-port",
       .env = "DATA_PORT",
       .value = "PORT",
       .fallback = "2004",
       .help = "port where taps send their packets, on the address of --listen"},
      config::number<std::uint16_t>(1, 65'535, ""), into.taps.data_port);
  options.add<std::uint16_t>(
      {.flag = "--data-ports",
       .env = "DATA_PORTS",
       .value = "NUMBER",
       .fallback = "4",
       .help = "with --data udp, the number of ports from --data-port on; taps of one address send "
               "to different ports, which tells them apart"},
      config::number<std::uint16_t>(1, 64, "ports"), into.data_ports);
  options.add<bool>({.flag = "--data",
                     .env = "DATA",
                     .value = "udp|tcp",
                     .fallback = "udp",
                     .help = "how taps send their packets; TLS needs tcp"},
                    config::word<bool>({{"udp", true}, {"tcp", false}}),
                    into.taps.protocol.datagram);
  options.add<std::uint64_t>(
      {.flag = "--receive-buffer",
       .env = "RECEIVE_BUFFER",
       .value = "BYTES",
       .fallback = "64M",
       .help = "kernel memory for datagrams that are not read yet, with a quarter of it for each "
               "port but the first; at most net.core.rmem_max without the right to exceed it"},
      config::byte_size(64U << 10, 1U << 30), into.receive_buffer);
}

void declare_access(config::OptionSet& options, CollectOptions& into) {
  options.add<std::vector<net::Cidr>>(
      {.flag = "--tap-allow",
       .env = "TAP_ALLOW",
       .value = "CIDR,...",
       .help = "addresses from which taps may connect; if unset: all"},
      config::cidr_list(), into.taps.allow);
  options.add<std::string>({.flag = "--tap-user",
                            .env = "TAP_USER",
                            .value = "NAME",
                            .help = "user name that the collector sends to taps"},
                           config::any_text(), into.taps.protocol.user);
  options.add<std::string>({.flag = "--tap-password-file",
                            .env = "TAP_PASSWORD_FILE",
                            .value = "FILE",
                            .help = "file that holds the password for --tap-user"},
                           config::readable_file(), into.tap_password_file);
  options.add<std::string>(
      {.flag = "--tap-tls-cert",
       .env = "TAP_TLS_CERT",
       .value = "FILE",
       .help = "the collector's certificate chain, PEM; if set, taps must use TLS (--sensor-tls "
               "client or registry of the tap); reloaded when it changes"},
      config::readable_file(), into.tls.certificate);
  options.add<std::string>({.flag = "--tap-tls-key",
                            .env = "TAP_TLS_KEY",
                            .value = "FILE",
                            .help = "the certificate's key, PEM"},
                           config::readable_file(), into.tls.key);
  options.add<std::string>({.flag = "--tap-tls-ca",
                            .env = "TAP_TLS_CA",
                            .value = "FILE",
                            .help = "CA that must have signed each tap's certificate, PEM; if "
                                    "unset: taps need no certificate"},
                           config::readable_file(), into.tls.client_ca);
}

/// The text itself, or the file's name, since the file may change while the collector runs.
config::Parser<std::string> checked_pem_text_or_file() {
  return [check = pem_text_or_file()](std::string_view text) -> Result<std::string> {
    if (auto pem = check(text); !pem) return pem;
    return std::string(text);
  };
}

void declare_proof(config::OptionSet& options, CollectOptions& into) {
  options.add<std::optional<net::HostPort>>(
      {.flag = "--registry",
       .env = "REGISTRY",
       .value = "HOST[:PORT]",
       .help = "the webhook's registry; the collector then admits a tap only from an address that "
               "the registry has proved for the tap's pod; default port: 8444; if unset: the "
               "collector takes the tap's word"},
      registry_address(), into.registry.address);
  options.add<std::string>(tap::kRegistryCa, checked_pem_text_or_file(), into.registry.ca);
  options.add<std::string>({.flag = "--registry-name",
                            .env = "REGISTRY_NAME",
                            .value = "NAME",
                            .help = "name in the registry's certificate; if unset: its host"},
                           config::any_text(), into.registry.server_name);
  options.add<std::string>(
      {.flag = "--registry-token-file",
       .env = "REGISTRY_TOKEN_FILE",
       .value = "FILE",
       .fallback = "/var/run/secrets/kubernetes.io/serviceaccount/token",
       .help = "token of a service account that may get /v1/identities/stream, read at each "
               "connection"},
      config::any_text(), into.registry.token_file);
  options.add<bool>(
      {.flag = "--unproven",
       .env = "UNPROVEN",
       .value = "admit|refuse",
       .fallback = "admit",
       .help = "what to do with taps that connect before the collector has reached the registry; "
               "admit: take their word and log a warning, so that no packet is lost"},
      config::word<bool>({{"admit", true}, {"refuse", false}}), into.admit_unproven);
}

void declare_taps(config::OptionSet& options, CollectOptions& into) {
  options.add<std::vector<net::Cidr>>(
      {.flag = "--tap-subnets",
       .env = "TAP_SUBNETS",
       .value = "CIDR,...",
       .help = "subnets that select the interface of a tap to capture: the one that has an address "
               "in them; if unset: the tap's first interface"},
      config::cidr_list(), into.taps.protocol.interface_rule);
  options.add<std::size_t>({.flag = "--max-taps",
                            .env = "MAX_TAPS",
                            .value = "NUMBER",
                            .fallback = "12000",
                            .help = "maximum number of taps at a time; more are refused"},
                           config::number<std::size_t>(1, 100'000, "taps"),
                           into.taps.most_sessions);
  options.add<std::size_t>(
      {.flag = "--max-taps-of-address",
       .env = "MAX_TAPS_OF_ADDRESS",
       .value = "NUMBER",
       .fallback = "16",
       .help = "maximum number of taps of one address at a time; more are refused"},
      config::number<std::size_t>(1, 100'000, "taps"), into.taps.most_of_one_address);
  options.add<std::uint64_t>(
      {.flag = "--incomplete-memory",
       .env = "INCOMPLETE_MEMORY",
       .value = "BYTES",
       .fallback = "64M",
       .help = "memory for packets of which only a part has arrived, besides 4K for each tap"},
      config::byte_size(1U << 20, 1U << 30), into.incomplete_memory);
  options.add<std::int64_t>({.flag = "--tap-stats",
                             .env = "TAP_STATS",
                             .value = "TIME",
                             .fallback = "30s",
                             .help = "how often the collector asks each tap for its counts; it "
                                     "closes the session of a tap that does not answer"},
                            config::duration_ms(1'000, 3'600'000), into.stats_interval_ms);
  options.add<std::string>({.flag = "--interface-name",
                            .env = "INTERFACE_NAME",
                            .value = "NAME",
                            .fallback = "collector",
                            .help = "name of the interface that sensors see"},
                           config::any_text(), into.interface);
  options.add<std::int64_t>({.flag = "--drain",
                             .env = "DRAIN",
                             .value = "TIME",
                             .fallback = "5s",
                             .help = "how long a stopping collector waits for its taps to move to "
                                     "other collectors; meanwhile it is not ready and takes no new "
                                     "taps; then it ends the remaining sessions cleanly"},
                            config::duration_ms(0, 600'000), into.drain_ms);
}

}  // namespace

void declare(config::OptionSet& options, CollectOptions& into) {
  declare_ports(options, into);
  declare_access(options, into);
  declare_proof(options, into);
  declare_taps(options, into);
  declare_towards_sensors(options, into.sensors);
}

Result<void> check(CollectOptions& options) {
  // Sensors size their buffers by it.
  options.sensors.buffer_size = 16U << 20;
  // For --sensor-tls registry, if the sensors are collectors.
  options.sensors.registry.ca = options.registry.ca;
  if (auto checked = sidetap::check(options.sensors); !checked) return checked;
  if (auto registry = check_registry(options.registry); !registry) return registry;
  if (!options.admit_unproven && !options.registry.address)
    return Error{"--unproven refuse: needs --registry, which proves taps"};
  TapProtocolConfig& protocol = options.taps.protocol;
  if (options.tls.certificate.empty() != options.tls.key.empty())
    return Error{"--tap-tls-cert and --tap-tls-key: both or neither"};
  if (options.tls.certificate.empty() && !options.tls.client_ca.empty())
    return Error{"--tap-tls-ca: needs --tap-tls-cert"};
  if (!options.tls.certificate.empty() && protocol.datagram)
    return Error{"--tap-tls-cert: needs --data tcp, since taps with TLS send no datagrams"};
  if (!protocol.datagram && options.taps.data_port == options.taps.listen.port)
    return Error{"--data-port: with --data tcp it must not be the port of --listen"};
  if (protocol.datagram && options.taps.data_port > 65'535 - (options.data_ports - 1))
    return Error{"--data-ports: more ports than there are from --data-port to 65535"};
  if (protocol.user.empty() != options.tap_password_file.empty())
    return Error{"--tap-user and --tap-password-file: both or neither"};
  if (!options.tap_password_file.empty()) {
    auto password = read_value(options.tap_password_file);
    if (!password) return Error{"--tap-password-file: " + password.error().text};
    protocol.password = std::move(*password);
  }
  protocol.snaplen = options.sensors.narrowing.snaplen;
  protocol.stats_every = std::chrono::milliseconds(options.stats_interval_ms);
  return {};
}

config::ParseResult parse_collect_options(std::span<const char* const> arguments,
                                          const config::OptionSet::Environment& environment,
                                          CollectOptions& into) {
  config::OptionSet options("sidetap-sidecar collect",
                            "Acts as the sensor for many taps, and forwards their packets to "
                            "sensors as a single tap.");
  declare(options, into);
  const config::ParseResult parsed = options.parse(arguments, environment);
  if (parsed != config::ParseResult::kRun) return parsed;
  if (auto checked = check(into); !checked) {
    std::cerr << checked.error().text << '\n';
    return config::ParseResult::kError;
  }
  return parsed;
}

}  // namespace sidetap::collector
