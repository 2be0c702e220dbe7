#include "sidecar/options/options.h"

#include <chrono>
#include <iostream>
#include <utility>

#include "shared/tap/assigned.h"
#include "shared/tap/settings.h"
#include "sidecar/options/longest_run.h"
#include "sidecar/options/option_parsers.h"
#include "sidecar/options/output_declarations.h"
#include "sidecar/options/stream_options.h"

namespace sidetap {
namespace {

// The order of the declarations is that of the help text and of the operator's page.

void declare_output(config::OptionSet& options, OutputOptions& into) {
  options.add<OutputKind>(tap::kOutput.option,
                          config::word<OutputKind>({{"rpcap", OutputKind::kRpcap},
                                                    {"vxlan", OutputKind::kVxlan},
                                                    {"pcap", OutputKind::kPcap},
                                                    {"pcap-over-ip", OutputKind::kPcapOverIp},
                                                    {"interface", OutputKind::kInterface}}),
                          into.kind);
  declare_vni(options, into.vxlan.vni);
  options.add<forwarding::Oversize>(
      {.flag = "--vxlan-oversize",
       .env = "VXLAN_OVERSIZE",
       .value = "WHAT",
       .fallback = "truncate",
       .help = "what to do with packets that do not fit the path to the sensor with VXLAN's "
               "headers (50 bytes, 70 over IPv6); truncate: cut them; drop: drop and count them"},
      config::word<forwarding::Oversize>(
          {{"truncate", forwarding::Oversize::kTruncate}, {"drop", forwarding::Oversize::kDrop}}),
      into.vxlan.oversize);
  options.add<forwarding::Handover>(
      {.flag = "--vxlan-segmentation",
       .env = "VXLAN_SEGMENTATION",
       .value = "on|off",
       .fallback = "off",
       .help = "on: hand several frames to the kernel in one piece (UDP_SEGMENT), which costs less "
               "CPU; only for a receiver on another node that has bound the port, because a "
               "receiver that sniffs (Suricata, Zeek) may see the whole piece"},
      config::word<forwarding::Handover>(
          {{"on", forwarding::Handover::kSegments}, {"off", forwarding::Handover::kSingly}}),
      into.vxlan.handover);
}

void declare_files(config::OptionSet& options, FileOptions& into) {
  options.add<std::string>({.flag = "--pcap-dir",
                            .env = "PCAP_DIR",
                            .value = "FOLDER",
                            .help = "folder that --output pcap writes to"},
                           config::any_text(), into.folder);
  options.add<forwarding::CaptureFormat>(
      {.flag = "--pcap-format",
       .env = "PCAP_FORMAT",
       .value = "pcap|pcapng",
       .fallback = "pcap",
       .help = "format of the files of --output pcap and the streams of --output pcap-over-ip; "
               "pcapng: with nanoseconds, the name of each packet's pod, and the number of packets "
               "that were dropped"},
      capture_format(), into.format);
  options.add<std::uint64_t>(
      {.flag = "--pcap-file-size",
       .env = "PCAP_FILE_SIZE",
       .value = "BYTES",
       .fallback = "100M",
       .help =
           "maximum size of a capture file, after which the next one begins; accepts K, M and G"},
      config::byte_size(64U << 10, 1ULL << 40), into.file_bytes);
  options.add<std::int64_t>({.flag = "--pcap-file-age",
                             .env = "PCAP_FILE_AGE",
                             .value = "TIME",
                             .fallback = "0",
                             .help = "maximum age of a capture file, after which the next packet "
                                     "begins another one; 0: no maximum"},
                            config::duration_ms(0, 2'592'000'000), into.file_age_ms);
  options.add<std::uint32_t>({.flag = "--pcap-files",
                              .env = "PCAP_FILES",
                              .value = "NUMBER",
                              .fallback = "5",
                              .help = "number of capture files for each interface; when all are "
                                      "full, the oldest is overwritten"},
                             config::number<std::uint32_t>(1, 10'000, "files"), into.files);
}

void declare_sessions(config::OptionSet& options, RunOptions& into) {
  session::SessionsConfig& sessions = into.sessions;
  options.add<session::SensorMode>(
      tap::kSensorMode.option,
      config::word<session::SensorMode>({{"replicate", session::SensorMode::kReplicate},
                                         {"failover", session::SensorMode::kFailover},
                                         {"balance", session::SensorMode::kBalance},
                                         {"hash", session::SensorMode::kHash}}),
      sessions.mode);
  options.add<std::string>(
      {.flag = "--user",
       .env = "SENSOR_USER",
       .value = "NAME",
       .help = "user name that a sensor must send; if unset: no authentication"},
      config::any_text(), sessions.user);
  options.add<std::string>({.flag = "--password-file",
                            .env = "SENSOR_PASSWORD_FILE",
                            .value = "FILE",
                            .help = "file that holds the password for --user"},
                           config::readable_file(), into.password_file);
  options.add<std::string>(tap::kSensorSecretDir, config::any_text(), sessions.secret_folder);
  options.add<session::UdpFormat>(
      {.flag = "--udp-format",
       .env = "UDP_FORMAT",
       .value = "FORMAT",
       .fallback = "udpstr",
       .help = "how packets go to a sensor that asks for UDP; udpstr: packed; plain: each in a "
               "datagram of its own"},
      config::word<session::UdpFormat>(
          {{"udpstr", session::UdpFormat::kUdpstr}, {"plain", session::UdpFormat::kPlain}}),
      sessions.udp_format);
  options.add<std::uint32_t>(tap::kDataMtu.option, tap::number<std::uint32_t>(tap::kDataMtu),
                             sessions.data_mtu);
  options.add<std::vector<rpcap::Ipv6Family>>(
      {.flag = "--ipv6-family",
       .env = "IPV6_FAMILY",
       .value = "NAME,...",
       .fallback = "linux",
       .help = "number that announces IPv6 addresses; linux: 10 (ExtraHop); windows: 23 (libpcap); "
               "one for all sensors, or one for each sensor"},
      word_list<rpcap::Ipv6Family>(
          {{"linux", rpcap::Ipv6Family::kLinux}, {"windows", rpcap::Ipv6Family::kWindows}}),
      into.ipv6_families);
  options.add_switch(
      {.flag = "--preselected",
       .env = "PRESELECTED",
       .help = "offer the interface as preselected, so that the sensor does not look "
               "at its addresses"},
      sessions.preselected);
}

void declare_passive(config::OptionSet& options, RunOptions& into) {
  options.add<std::optional<session::PassiveSettings>>(
      {.flag = "--passive-listen",
       .env = "PASSIVE_LISTEN",
       .value = "HOST[:PORT]",
       .help = "address where the tap also waits for RPCAP clients (libpcap's rpcap://); default "
               "port: 2002"},
      passive_listen(), into.sessions.passive);
  options.add<std::vector<net::Cidr>>({.flag = "--passive-allow",
                                       .env = "PASSIVE_ALLOW",
                                       .value = "CIDR,...",
                                       .help = "addresses that may connect to --passive-listen; if "
                                               "unset: all, so set --user and --password-file"},
                                      config::cidr_list(), into.passive_allow);
  options.add<std::size_t>(
      {.flag = "--passive-sessions",
       .env = "PASSIVE_SESSIONS",
       .value = "NUMBER",
       .fallback = "4",
       .help = "maximum number of clients of --passive-listen at a time; more are refused"},
      config::number<std::size_t>(1, 100, "clients"), into.passive_sessions);
}

void declare_sensor(config::OptionSet& options, RunOptions& into) {
  options.add<std::vector<session::Sensor>>(tap::kSensor.option, sensor_list(),
                                            into.sessions.sensors);
  declare_output(options, into.output);
  declare_files(options, into.output.files);
  declare_output_interface(options, into.output.interface);
  declare_streams(options, into.output.streams);
  declare_sessions(options, into);
  declare_passive(options, into);
}

void declare_tls(config::OptionSet& options, session::TlsSettings& tls) {
  options.add<session::TlsRole>(
      tap::kSensorTls.option,
      config::word<session::TlsRole>({{"off", session::TlsRole::kNone},
                                      {"rpcaps", session::TlsRole::kServer},
                                      {"client", session::TlsRole::kClient},
                                      {"registry", session::TlsRole::kRegistry}}),
      tls.role);
  options.add<std::string>({.flag = "--sensor-tls-cert",
                            .env = "SENSOR_TLS_CERT",
                            .value = "FILE",
                            .help = "the tap's certificate chain, PEM"},
                           config::readable_file(), tls.certificate_file);
  options.add<std::string>({.flag = "--sensor-tls-key",
                            .env = "SENSOR_TLS_KEY",
                            .value = "FILE",
                            .help = "the certificate's key, PEM"},
                           config::readable_file(), tls.key_file);
  options.add<std::string>({.flag = "--sensor-tls-ca",
                            .env = "SENSOR_TLS_CA",
                            .value = "FILE",
                            .help = "CA that must have signed the sensor's certificate, PEM"},
                           config::readable_file(), tls.ca_file);
  options.add<std::string>(
      {.flag = "--sensor-tls-name",
       .env = "SENSOR_TLS_NAME",
       .value = "NAME",
       .help = "name in the sensor's certificate; if unset: the sensor's host"},
      config::any_text(), tls.server_name);
}

/// Bytes, or "auto".
config::Parser<std::optional<std::uint64_t>> backlog_size() {
  return [bytes = tap::size(tap::kBacklog)](
             std::string_view text) -> Result<std::optional<std::uint64_t>> {
    if (text == "auto") return std::optional<std::uint64_t>();
    auto size = bytes(text);
    if (!size) return Error{"auto, or " + size.error().text};
    return std::optional<std::uint64_t>(*size);
  };
}

void declare_capture(config::OptionSet& options, RunOptions& into) {
  options.add<std::vector<std::string>>(tap::kInterface.option, config::interface_names(),
                                        into.interfaces);
  options.add<capture::CaptureMethod>(
      {.flag = "--capture",
       .env = "CAPTURE",
       .value = "METHOD",
       .fallback = "auto",
       .help =
           "how packets are read; ring: from an AF_PACKET ring, with the sizes of segments as the "
           "kernel knows them (Ethernet, Linux 6.2 or newer); libpcap: through libpcap; auto: the "
           "ring where it can be used"},
      capture_method(), into.capture_method);
  options.add<std::uint64_t>(tap::kBufferSize.option, tap::size(tap::kBufferSize),
                             into.buffer_size);
}

void declare_sending(config::OptionSet& options, RunOptions& into) {
  options.add<std::optional<std::uint64_t>>(tap::kBacklog.option, backlog_size(), into.backlog);
  options.add<std::int64_t>({.flag = "--flush-interval",
                             .env = "FLUSH_INTERVAL",
                             .value = "TIME",
                             .fallback = "10ms",
                             .help = "maximum time before a partial batch is sent"},
                            config::duration_ms(1, 1000), into.flush_interval_ms);
}

void declare_narrowing(config::OptionSet& options, Narrowing& into) {
  options.add<std::string>(tap::kFilter.option, tap::check_filter, into.filter);
  options.add<std::uint32_t>(tap::kFlowSampling.option,
                             tap::number<std::uint32_t>(tap::kFlowSampling), into.flow_sampling);
  options.add<std::uint32_t>(tap::kSnaplen.option, tap::number<std::uint32_t>(tap::kSnaplen),
                             into.snaplen);
  options.add<std::uint64_t>(tap::kMaxRate.option, config::bit_rate(),
                             into.rate_limit.bits_per_second);
  options.add<std::uint64_t>(tap::kMaxPacketRate.option,
                             tap::number<std::uint64_t>(tap::kMaxPacketRate),
                             into.rate_limit.packets_per_second);
  options.add<bool>(tap::kPaused.option, config::on_off(), into.paused);
}

void declare_fidelity(config::OptionSet& options, RunOptions& into) {
  options.add<fidelity::SegmentMode>(
      {.flag = "--segment",
       .env = "SEGMENT",
       .value = "auto|on|off",
       .fallback = "auto",
       .help =
           "split packets that offloads made larger than the MTU into what was on the wire; on: "
           "to 1500 bytes if no MTU is known"},
      config::word<fidelity::SegmentMode>({{"auto", fidelity::SegmentMode::kAuto},
                                           {"on", fidelity::SegmentMode::kOn},
                                           {"off", fidelity::SegmentMode::kOff}}),
      into.fidelity.segment);
  options.add<bool>({.flag = "--checksums",
                     .env = "CHECKSUMS",
                     .value = "on|off",
                     .fallback = "on",
                     .help = "fill in checksums that were left to the network card"},
                    config::on_off(), into.fidelity.checksums);
}

void declare_pod(config::OptionSet& options, RunOptions& into) {
  options.add<std::string>(tap::kPodName, config::any_text(), into.pod_name);
  options.add<std::string>(tap::kPodNamespace, config::any_text(), into.pod_namespace);
  options.add<std::string>(tap::kNodeName, config::any_text(), into.node_name);
}

void declare_status(config::OptionSet& options, RunOptions& into) {
  options.add<std::optional<net::HostPort>>(tap::kStatusPort.option,
                                            config::optional_listen_address(), into.status_listen);
}

void declare_orders(config::OptionSet& options, RunOptions& into) {
  options.add<bool>(tap::kStdinOrders, config::on_off(), into.stdin_orders);
  options.add<std::int64_t>({.flag = "--run-for",
                             .env = "RUN_FOR",
                             .value = "TIME",
                             .fallback = "0",
                             .help = "stop cleanly after this time; 0: run until told to stop"},
                            config::duration_ms(0, std::chrono::milliseconds(kLongestRun).count()),
                            into.run_for_ms);
}

void declare_sandbox(config::OptionSet& options, RunOptions& into) {
  options.add<bool>({.flag = "--sandbox",
                     .env = "SANDBOX",
                     .value = "on|off",
                     .fallback = "on",
                     .help = "once everything is open, give up every capability and system call "
                             "that is no longer needed"},
                    config::on_off(), into.sandbox);
}

void declare_log(config::OptionSet& options, RunOptions& into) {
  options.add<telemetry::LogFormat>(tap::kLogFormat.option,
                                    config::word(telemetry::log_format_words()), into.log_format);
  options.add<telemetry::LogLevel>(tap::kLogLevel.option,
                                   config::word(telemetry::log_level_words()), into.log_level);
}

}  // namespace

void declare(config::OptionSet& options, RunOptions& into) {
  declare_sensor(options, into);
  declare_ownership(options, into.ownership);
  declare_registry(options, into.registry);
  declare_capture(options, into);
  declare_sending(options, into);
  declare_narrowing(options, into.narrowing);
  declare_fidelity(options, into);
  declare_mesh(options, into.mesh);
  declare_tls(options, into.sessions.tls);
  declare_pod(options, into);
  declare_status(options, into);
  declare_orders(options, into);
  declare_sandbox(options, into);
  declare_log(options, into);
}

void declare_towards_sensors(config::OptionSet& options, RunOptions& into) {
  declare_sensor(options, into);
  declare_sending(options, into);
  declare_narrowing(options, into.narrowing);
  declare_tls(options, into.sessions.tls);
  declare_pod(options, into);
  declare_status(options, into);
  declare_sandbox(options, into);
  declare_log(options, into);
}

config::OptionSet::Environment with_sensor_aliases(config::OptionSet::Environment environment) {
  return [environment =
              std::move(environment)](const std::string& name) -> std::optional<std::string> {
    auto value = environment(name);
    if (name != "SENSOR" || (value && !value->empty())) return value;
    auto host = environment("EXTRAHOP_SENSOR_IP");
    if (!host || host->empty()) return value;
    const auto port = environment("RPCAPD_TARGET_PORT");
    if (!port || port->empty()) return host;
    const bool bare_v6 = host->find(':') != std::string::npos && host->front() != '[';
    return (bare_v6 ? "[" + *host + "]" : *host) + ":" + *port;
  };
}

config::ParseResult parse_run_options(std::span<const char* const> arguments,
                                      const config::OptionSet::Environment& environment,
                                      RunOptions& into) {
  config::OptionSet options("sidetap-sidecar run",
                            "Captures this pod's packets and forwards those it owns to sensors "
                            "over RPCAP.");
  declare(options, into);
  const config::ParseResult parsed = options.parse(arguments, with_sensor_aliases(environment));
  if (parsed != config::ParseResult::kRun) return parsed;
  if (auto checked = check(into); !checked) {
    std::cerr << checked.error().text << '\n';
    return config::ParseResult::kError;
  }
  return parsed;
}

}  // namespace sidetap
