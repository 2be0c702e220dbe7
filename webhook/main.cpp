// sidetap-webhook: decides which pods get a tap, and adds it to them.
#include <exception>
#include <iostream>
#include <span>
#include <string_view>

#include "shared/telemetry/log.h"
#include "webhook/certificates/command.h"
#include "webhook/offline/commands.h"
#include "webhook/selftest/selftest.h"
#include "webhook/serve/command.h"

namespace {

constexpr std::string_view kUsage =
    "Usage: sidetap-webhook COMMAND [OPTION...]\n"
    "  serve     answer the admission reviews of API servers over HTTPS\n"
    "  inject    inject pods in files as the cluster would\n"
    "  explain   show whether pods in files would be injected, and why\n"
    "  certs     check and renew the self-managed certificates once\n"
    "  selftest  create a pod through the API server as a dry run, and check for the tap\n"
    "  version   print the version\n"
    "COMMAND --help shows its options.\n";

}  // namespace

int main(int argc, char** argv) try {
  const std::span<const char* const> arguments(argv, static_cast<std::size_t>(argc));
  const std::string_view command = argc > 1 ? arguments[1] : "";
  const auto rest = arguments.subspan(argc > 1 ? 2 : 1);
  if (command == "serve") return sidetap::webhook::command(rest);
  if (command == "inject") return sidetap::offline::inject_command(rest);
  if (command == "explain") return sidetap::offline::explain_command(rest);
  if (command == "certs") return sidetap::certificates::command(rest);
  if (command == "selftest") return sidetap::selftest::command(rest);
  if (command == "version" || command == "--version") {
    std::cout << "sidetap-webhook " << SIDETAP_VERSION << '\n';
    return 0;
  }
  if (command == "help" || command == "--help" || command == "-h") {
    std::cout << kUsage;
    return 0;
  }
  std::cerr << "sidetap-webhook: unknown command '" << command
            << "'; expected serve, inject, explain, certs, selftest or version\n";
  return 2;
} catch (const std::exception& e) {
  sidetap::telemetry::error("cannot continue", {{"reason", e.what()}});
  return 1;
}
