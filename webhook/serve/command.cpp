#include "webhook/serve/command.h"

#include <string>

#include "shared/kube/credentials.h"
#include "shared/telemetry/log.h"
#include "webhook/serve/review_factory.h"
#include "webhook/serve/serve.h"
#include "webhook/serve/serve_options.h"

namespace sidetap::webhook {

int command(std::span<const char* const> arguments) {
  ServeOptions options;
  switch (parse_serve_options(arguments, config::process_environment, options)) {
    case config::ParseResult::kHelp:
      return 0;
    case config::ParseResult::kError:
      return 2;
    case config::ParseResult::kRun:
      break;
  }
  telemetry::init_log(options.log_format, options.log_level);
  // Outside a cluster, this file does not exist.
  const auto own_namespace =
      kube::read_trimmed(options.self_managed.service_account + "/namespace");
  const bool ca_to_come = options.self_managed.enabled && options.registry.ca_file.empty();
  return serve(options, review_factory(own_namespace ? *own_namespace : std::string(), ca_to_come));
}

}  // namespace sidetap::webhook
