#include "tests/sensor/options.h"

#include <iostream>
#include <string_view>

#include "shared/net/text.h"

namespace sidetap::sensor {
namespace {

config::Parser<std::chrono::seconds> seconds() {
  return [parse = config::number<std::uint32_t>(0, 86'400, "seconds")](
             std::string_view text) -> Result<std::chrono::seconds> {
    auto value = parse(text);
    if (!value) return value.error();
    return std::chrono::seconds(*value);
  };
}

config::Parser<Fault> fault() {
  return [](std::string_view text) -> Result<Fault> {
    Fault fault;
    const std::size_t sign = text.find('=');
    const std::string_view kind = text.substr(0, sign);
    const auto value = sign == text.npos ? std::optional<std::uint32_t>()
                                         : net::whole_number<std::uint32_t>(text.substr(sign + 1));
    if (text == "refuse") {
      fault.refuse = true;
    } else if (text == "stop-reading") {
      fault.stop_reading = true;
    } else if (kind == "close-after" && value) {
      fault.close_after = std::chrono::seconds(*value);
    } else if (kind == "start-after" && value) {
      fault.start_after = std::chrono::milliseconds(*value);
    } else if (kind == "hang-after" && value) {
      fault.hang = std::chrono::seconds(*value);
    } else if (kind == "drop-every" && value && *value > 0) {
      fault.drop_every = *value;
    } else {
      return Error{
          "refuse, stop-reading, start-after=MILLISECONDS, close-after=SECONDS, "
          "hang-after=SECONDS or drop-every=DATAGRAMS"};
    }
    return fault;
  };
}

config::Parser<rpcap::Sampling> sampling() {
  return [](std::string_view text) -> Result<rpcap::Sampling> {
    const std::size_t sign = text.find('=');
    const auto value = sign == text.npos ? std::optional<std::uint32_t>()
                                         : net::whole_number<std::uint32_t>(text.substr(sign + 1));
    if (value && text.starts_with("one-in="))
      return rpcap::Sampling{rpcap::SamplingMethod::kOneInN, *value};
    if (value && text.starts_with("per-ms="))
      return rpcap::Sampling{rpcap::SamplingMethod::kOncePerNMillis, *value};
    return Error{"one-in=PACKETS or per-ms=MILLISECONDS"};
  };
}

void declare_data(config::OptionSet& set, Options& o, std::string& data) {
  set.add<std::string>({.flag = "--data",
                        .value = "udp|tcp",
                        .fallback = "udp",
                        .help = "how taps send packets; udp: plain or packed, as the tap chooses"},
                       config::one_of({"udp", "tcp"}), data);
  set.add<std::uint16_t>({.flag = "--udp-port",
                          .value = "PORT",
                          .help = "data port, the same for all taps; if unset: one for each tap"},
                         config::number<std::uint16_t>(0, 65'535, "a port"), o.data_port);
  set.add<std::uint32_t>({.flag = "--receive-buffer",
                          .value = "BYTES",
                          .fallback = "67108864",
                          .help = "SO_RCVBUF of the UDP socket; the system may limit it"},
                         config::number<std::uint32_t>(4096, 1U << 30, "bytes"), o.receive_buffer);
  set.add<std::string>({.flag = "--filter-bpf",
                        .value = "EXPRESSION",
                        .help = "tcpdump expression that the taps filter by"},
                       config::any_text(), o.filter);
  set.add<std::string>({.flag = "--update-filter",
                        .value = "EXPRESSION",
                        .help = "replaces the filter after --update-filter-after"},
                       config::any_text(), o.next_filter);
  set.add<std::chrono::seconds>({.flag = "--update-filter-after",
                                 .value = "SECONDS",
                                 .fallback = "1",
                                 .help = "seconds after which --update-filter replaces the filter"},
                                seconds(), o.next_filter_after);
  set.add<std::vector<net::Cidr>>(
      {.flag = "--interface",
       .value = "CIDR,...",
       .help = "capture the interface that has an address in these subnets; if unset: the first "
               "usable one; an interface that the tap preselects has priority"},
      config::cidr_list(), o.interface_rule);
  set.add<std::uint32_t>({.flag = "--snaplen",
                          .value = "BYTES",
                          .fallback = "262144",
                          .help = "bytes to capture of each packet"},
                         config::number<std::uint32_t>(1, 1U << 20, "bytes"), o.snaplen);
  set.add<std::uint32_t>({.flag = "--read-timeout",
                          .value = "MILLISECONDS",
                          .fallback = "1000",
                          .help = "how long a tap that uses libpcap may hold packets"},
                         config::number<std::uint32_t>(1, 60'000, "milliseconds"),
                         o.read_timeout_ms);
  set.add<rpcap::Sampling>({.flag = "--sampling",
                            .value = "one-in=N|per-ms=N",
                            .help = "ask the taps to sample packets"},
                           sampling(), o.sampling);
  set.add<std::chrono::seconds>({.flag = "--stats-every",
                                 .value = "SECONDS",
                                 .fallback = "0",
                                 .help = "how often to ask for statistics; 0: only at the end"},
                                seconds(), o.stats_every);
}

void declare_rest(config::OptionSet& set, Options& o, std::string& tls) {
  set.add<std::string>({.flag = "--user", .value = "NAME", .help = "user name to send to the taps"},
                       config::any_text(), o.user);
  set.add<std::string>(
      {.flag = "--password", .value = "TEXT", .help = "password to send to the taps"},
      config::any_text(), o.password);
  set.add<std::string>({.flag = "--output-dir",
                        .value = "DIR",
                        .help = "folder for one capture file of each session: PEER-NUMBER.pcap"},
                       config::any_text(), o.output_dir);
  set.add<std::string>({.flag = "--json",
                        .value = "FILE|-",
                        .fallback = "-",
                        .help = "file for the totals at the end; -: standard output"},
                       config::any_text(), o.json);
  set.add<Fault>({.flag = "--fault",
                  .value = "KIND",
                  .help = "misbehave: refuse, stop-reading, start-after=MILLISECONDS, "
                          "close-after=SECONDS, hang-after=SECONDS, drop-every=DATAGRAMS"},
                 fault(), o.fault);
  set.add<std::string>({.flag = "--tls",
                        .value = "off|rpcaps|server",
                        .fallback = "off",
                        .help = "rpcaps: the sensor begins the handshake; server: the tap does"},
                       config::one_of({"off", "rpcaps", "server"}), tls);
  set.add<std::string>({.flag = "--tls-cert", .value = "FILE", .help = "certificate chain, PEM"},
                       config::readable_file(), o.tls_cert);
  set.add<std::string>(
      {.flag = "--tls-key", .value = "FILE", .help = "key of the certificate, PEM"},
      config::readable_file(), o.tls_key);
  set.add<std::string>({.flag = "--tls-ca",
                        .value = "FILE",
                        .help = "CA that must have signed the taps' certificates, PEM"},
                       config::readable_file(), o.tls_ca);
  set.add<std::string>(
      {.flag = "--tls-name", .value = "NAME", .help = "name that the taps' certificates must have"},
      config::any_text(), o.tls_name);
}

}  // namespace

config::ParseResult parse_options(std::span<const char* const> arguments, Options& into) {
  const std::string_view command = arguments.empty() ? "" : arguments.front();
  if (command != "active" && command != "passive") {
    std::cerr << "Usage: sidetap-sensor active --listen HOST[:PORT] | passive --connect "
                 "HOST[:PORT] [OPTION...]; add --help for the options\n";
    return config::ParseResult::kError;
  }
  into.active = command == "active";
  config::OptionSet set("sidetap-sensor " + std::string(command),
                        into.active ? "Waits for taps, and captures from each."
                                    : "Connects to a tap, and captures from it.");
  set.add<net::HostPort>(
      {.flag = into.active ? "--listen" : "--connect",
       .value = "HOST[:PORT]",
       .help = into.active ? "address where taps connect; default port: 2003"
                           : "address of the tap; default port: 2002",
       .required = true},
      [active = into.active](std::string_view text) {
        return active ? net::parse_listen_address(text, 2003) : net::parse_host_port(text, 2002);
      },
      into.address);
  std::string data;
  std::string tls;
  declare_data(set, into, data);
  declare_rest(set, into, tls);
  const auto parsed = set.parse(arguments.subspan(1),
                                [](const std::string&) { return std::optional<std::string>(); });
  into.data = data == "tcp" ? DataMode::kTcp : DataMode::kUdp;
  into.tls = tls == "rpcaps"   ? TlsMode::kRpcaps
             : tls == "server" ? TlsMode::kServer
                               : TlsMode::kOff;
  return parsed;
}

}  // namespace sidetap::sensor
