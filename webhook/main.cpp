// sidetap-webhook: decides which pods get a tap, and adds it to them.
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "shared/config/options.h"
#include "shared/http/tls_context.h"
#include "shared/kube/credentials.h"
#include "shared/telemetry/log.h"
#include "webhook/admission/admit.h"
#include "webhook/certificates/command.h"
#include "webhook/configuration/configuration_file.h"
#include "webhook/configuration/pod_security.h"
#include "webhook/offline/commands.h"
#include "webhook/selftest/selftest.h"
#include "webhook/serve/serve.h"

namespace {

using sidetap::configuration::Configuration;

constexpr std::string_view kUsage =
    "Usage: sidetap-webhook COMMAND [OPTION...]\n"
    "  serve     answer the admission reviews of API servers over HTTPS\n"
    "  inject    do to pods in files what the cluster would do\n"
    "  explain   say whether pods in files would be injected, and why\n"
    "  certs     look after the self-managed certificates, once\n"
    "  selftest  have the API server make a pod by a dry run, and look for the tap\n"
    "  version   print the version\n"
    "COMMAND --help tells its options.\n";

/// Pods of `own_namespace` are left alone where the configuration does not say whose they are.
/// `ca_to_come`: the registry's CA is not there yet, but will be before the first review.
sidetap::webhook::ReviewFactory review_factory(std::string own_namespace, bool ca_to_come) {
  return [own_namespace = std::move(own_namespace), ca_to_come](
             const std::optional<std::string>& text,
             const std::string& registry_ca) -> sidetap::Result<sidetap::webhook::ReviewFunction> {
    auto configuration = std::make_shared<Configuration>();
    if (text) {
      auto parsed = sidetap::configuration::parse_configuration(*text, "configuration");
      if (!parsed) return parsed.error();
      *configuration = std::move(*parsed);
    }
    if (auto& ca = configuration->registry.ca; ca.empty()) {
      ca = registry_ca;
    } else if (auto checked = sidetap::http::check_certificates(ca); !checked) {
      return sidetap::Error{"registry.ca: " + checked.error().text};
    }
    if (!ca_to_come && sidetap::configuration::lacks_registry_ca(*configuration)) {
      return sidetap::Error{
          "registry.address is set, but taps would not know the registry by any CA, and end at "
          "once: give one by --registry-ca, or as registry.ca"};
    }
    std::string& own = configuration->injection.own_namespace;
    if (own.empty()) own = own_namespace;
    auto at_baseline = std::make_shared<Configuration>(*configuration);
    at_baseline->sidecar = sidetap::configuration::at_baseline(std::move(at_baseline->sidecar));
    return sidetap::webhook::ReviewFunction(
        [configuration, at_baseline](std::string_view review, sidetap::webhook::Route route) {
          return sidetap::admission::admit(review, route.entry,
                                           route.baseline ? *at_baseline : *configuration);
        });
  };
}

int serve(std::span<const char* const> arguments) {
  sidetap::webhook::ServeOptions options;
  switch (sidetap::webhook::parse_serve_options(arguments, sidetap::config::process_environment,
                                                options)) {
    case sidetap::config::ParseResult::kHelp:
      return 0;
    case sidetap::config::ParseResult::kError:
      return 2;
    case sidetap::config::ParseResult::kRun:
      break;
  }
  sidetap::telemetry::init_log(options.log_format, options.log_level);
  // Outside of a cluster there is no such file.
  const auto own_namespace =
      sidetap::kube::read_trimmed(options.self_managed.service_account + "/namespace");
  const bool ca_to_come = options.self_managed.enabled && options.registry.ca_file.empty();
  return sidetap::webhook::serve(
      options, review_factory(own_namespace ? *own_namespace : std::string(), ca_to_come));
}

}  // namespace

int main(int argc, char** argv) try {
  const std::span<const char* const> arguments(argv, static_cast<std::size_t>(argc));
  const std::string_view command = argc > 1 ? arguments[1] : "";
  const auto rest = arguments.subspan(argc > 1 ? 2 : 1);
  if (command == "serve") return serve(rest);
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
  std::cerr << "sidetap-webhook: '" << command
            << "' is no command; serve, inject, explain, certs, selftest and version are\n";
  return 2;
} catch (const std::exception& e) {
  sidetap::telemetry::error("cannot go on", {{"reason", e.what()}});
  return 1;
}
