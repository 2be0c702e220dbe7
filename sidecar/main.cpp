// sidetap-sidecar: the tap.
#include <iostream>
#include <span>
#include <string_view>

#include "shared/config/options.h"
#include "shared/telemetry/log.h"
#include "sidecar/collector/run_collector.h"
#include "sidecar/commands/check.h"
#include "sidecar/commands/dump.h"
#include "sidecar/commands/explain.h"
#include "sidecar/options/live_options.h"
#include "sidecar/options/options.h"
#include "sidecar/tap/run.h"

namespace {

using sidetap::config::ParseResult;

constexpr std::string_view kUsage =
    "Usage: sidetap-sidecar COMMAND [OPTION...]\n"
    "  run      capture this pod's packets and forward those it owns to sensors over RPCAP\n"
    "  collect  act as the sensor for many taps, and forward their packets as a single tap\n"
    "  options  check the flags and environment of run, and capture nothing (exit 0 or 2)\n"
    "  check    ask a running tap whether it is ready (for probes; exit 0 or 1)\n"
    "  explain  show for each packet of a capture file whether it is forwarded, and why\n"
    "  dump     write this pod's packets to standard output for a limited time, beside the tap\n"
    "  version  print the version\n"
    "COMMAND --help shows its options.\n";

/// With `only_check`, the program captures nothing.
int run(std::span<const char* const> arguments, bool only_check) {
  sidetap::RunOptions options;
  const auto parsed =
      sidetap::parse_run_options(arguments, sidetap::config::process_environment, options);
  if (parsed != ParseResult::kRun) return parsed == ParseResult::kHelp ? 0 : 2;
  if (only_check) {
    std::cout << "the options are valid\n";
    return 0;
  }
  sidetap::telemetry::init_log(options.log_format, options.log_level);
  return sidetap::run_tap(std::move(options), {arguments, sidetap::config::process_environment});
}

int collect(std::span<const char* const> arguments) {
  sidetap::collector::CollectOptions options;
  const auto parsed = sidetap::collector::parse_collect_options(
      arguments, sidetap::config::process_environment, options);
  if (parsed != ParseResult::kRun) return parsed == ParseResult::kHelp ? 0 : 2;
  sidetap::telemetry::init_log(options.sensors.log_format, options.sensors.log_level);
  return sidetap::collector::run_collector(std::move(options));
}

}  // namespace

int main(int argc, char** argv) try {
  const std::span<const char* const> arguments(argv, static_cast<std::size_t>(argc));
  const std::string_view command = argc > 1 ? arguments[1] : "";
  const auto rest = arguments.subspan(argc > 1 ? 2 : 1);
  if (command == "run") return run(rest, false);
  if (command == "collect") return collect(rest);
  if (command == "options") return run(rest, true);
  if (command == "check") return sidetap::check_command(rest);
  if (command == "explain") return sidetap::explain_command(rest);
  if (command == "dump") return sidetap::dump_command(rest);
  if (command == "version" || command == "--version") {
    std::cout << "sidetap-sidecar " << SIDETAP_VERSION << '\n';
    return 0;
  }
  if (command == "help" || command == "--help" || command == "-h") {
    std::cout << kUsage;
    return 0;
  }
  std::cerr << "sidetap-sidecar: unknown command '" << command
            << "'; expected run, collect, options, check, explain, dump or version\n";
  return 2;
} catch (const std::exception& e) {
  sidetap::telemetry::error("cannot continue", {{"reason", e.what()}});
  return 1;
}
