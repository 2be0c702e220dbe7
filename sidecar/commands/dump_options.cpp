#include "sidecar/commands/dump_options.h"

#include <algorithm>
#include <iostream>
#include <string_view>

#include "shared/tap/assigned.h"
#include "shared/tap/filter_expression.h"
#include "shared/tap/settings.h"
#include "sidecar/options/option_parsers.h"
#include "sidecar/options/options.h"

namespace sidetap {
namespace {

void declare_dump_output(config::OptionSet& options, DumpOptions& into) {
  options.add<std::string>({.flag = "--write",
                            .value = "FILE",
                            .fallback = "-",
                            .help = "file to write packets to; -: standard output"},
                           config::any_text(), into.file);
  options.add<forwarding::CaptureFormat>(
      {.flag = "--pcap-format",
       .value = "pcapng|pcap",
       .fallback = "pcapng",
       .help =
           "pcapng: with nanoseconds, the pod's name, and the number of packets that were dropped"},
      capture_format(), into.format);
  options.add<std::int64_t>(
      {.flag = "--time", .value = "TIME", .fallback = "5m", .help = "end after this time"},
      config::duration_ms(100, 24 * 3'600'000), into.bounds.time_ms);
  options.add<std::uint64_t>({.flag = "--packets",
                              .value = "NUMBER",
                              .fallback = "0",
                              .help = "end after this many packets; 0: no limit"},
                             config::number<std::uint64_t>(0, 1ULL << 48, "packets"),
                             into.bounds.packets);
  options.add<std::uint64_t>(
      {.flag = "--bytes",
       .value = "BYTES",
       .fallback = "1G",
       .help = "end before the output exceeds this size; accepts K, M and G"},
      config::byte_size(4U << 10, 1ULL << 40), into.bounds.bytes);
}

void declare_dump_capture(config::OptionSet& options, DumpOptions& into) {
  options.add<std::vector<std::string>>(
      {.flag = "--interface",
       .env = "INTERFACE",
       .value = "NAME,...",
       .help = "interfaces to capture; if unset: those that have the pod's addresses"},
      config::interface_names(), into.interfaces);
  options.add<std::uint32_t>({.flag = "--snaplen",
                              .value = "BYTES",
                              .fallback = "262144",
                              .help = "bytes kept of each packet"},
                             tap::number<std::uint32_t>(tap::kSnaplen), into.snaplen);
  options.add_switch({.flag = "--raw",
                      .help = "write packets as the kernel has them, although checksums and "
                              "segments may differ from those on the wire"},
                     into.raw);
  options.add_switch(
      {.flag = "--owned",
       .help =
           "write only packets that the pod's tap would forward, as far as its environment tells"},
      into.owned);
  options.add_switch({.flag = "--mesh",
                      .help = "also write the plaintext between a service mesh's proxy and the "
                              "application, as an interface of its own"},
                     into.mesh);
  options.add<std::uint64_t>({.flag = "--buffer-size",
                              .value = "BYTES",
                              .fallback = "4M",
                              .help = "size of the capture ring of each interface"},
                             tap::size(tap::kBufferSize), into.ring_bytes);
  options.add<capture::CaptureMethod>({.flag = "--capture",
                                       .env = "CAPTURE",
                                       .value = "METHOD",
                                       .fallback = "auto",
                                       .help = "auto, ring or libpcap, as for run"},
                                      capture_method(), into.capture_method);
  options.add<bool>({.flag = "--sandbox",
                     .env = "SANDBOX",
                     .value = "on|off",
                     .fallback = "on",
                     .help = "once the interfaces are open, give up every capability and system "
                             "call that is no longer needed"},
                    config::on_off(), into.sandbox);
}

void declare_dump_pod(config::OptionSet& options, DumpOptions& into) {
  options.add<std::string>(tap::kPodName, config::any_text(), into.pod.name);
  options.add<std::string>(tap::kPodNamespace, config::any_text(), into.pod.space);
  options.add<std::string>(tap::kNodeName, config::any_text(), into.pod.node);
  options.add<std::vector<session::Sensor>>(tap::kSensor.option, sensor_list(), into.sensors);
  options.add<net::HostPort>(tap::kRegistry, config::host_port(tap::kRegistryPort), into.registry);
  declare_ownership(options, into.ownership);
  declare_mesh_rules(options, into.mesh_rules);
  declare_mesh_client(options, into.mesh_rules);
  options.add<std::optional<net::HostPort>>(tap::kStatusPort.option,
                                            config::optional_listen_address(), into.status_listen);
}

/// Whether the next argument is the value of this one.
bool takes_next(const config::OptionSet& options, std::string_view argument) {
  const auto& specs = options.specs();
  return std::any_of(specs.begin(), specs.end(), [&](const config::OptionSpec& spec) {
    return spec.flag == argument && !spec.value.empty();
  });
}

/// The number of arguments in front of the expression.
std::size_t count_flags(const config::OptionSet& options, std::span<const char* const> arguments) {
  std::size_t at = 0;
  while (at < arguments.size()) {
    const std::string_view argument = arguments[at];
    if (argument == "--" || !argument.starts_with('-')) break;
    at += takes_next(options, argument) ? 2 : 1;
  }
  return std::min(at, arguments.size());
}

}  // namespace

config::ParseResult parse_dump_options(std::span<const char* const> arguments,
                                       const config::OptionSet::Environment& environment,
                                       DumpOptions& into) {
  config::OptionSet options(
      "sidetap-sidecar dump",
      "Writes this pod's packets for a limited time. Sensors still get all of theirs. The words "
      "after the options are a pcap filter, such as: tcp port 443.");
  declare_dump_output(options, into);
  declare_dump_capture(options, into);
  declare_dump_pod(options, into);
  const std::size_t flags = count_flags(options, arguments);
  const auto parsed = options.parse(arguments.first(flags), with_sensor_aliases(environment));
  if (parsed != config::ParseResult::kRun) return parsed;
  for (const std::string_view word : arguments.subspan(flags)) {
    if (into.expression.empty() && word == "--") continue;
    into.expression += (into.expression.empty() ? "" : " ") + std::string(word);
  }
  if (const auto compiled = tap::compile_filter(into.expression); !compiled) {
    std::cerr << "sidetap-sidecar dump: the expression \"" << into.expression
              << "\" is not accepted: " << compiled.error().text << '\n';
    return config::ParseResult::kError;
  }
  if (const auto checked = check_mesh_client(into.mesh_rules); !checked) {
    std::cerr << "sidetap-sidecar dump: " << checked.error().text << '\n';
    return config::ParseResult::kError;
  }
  return parsed;
}

}  // namespace sidetap
