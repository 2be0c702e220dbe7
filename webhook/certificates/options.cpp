#include "webhook/certificates/options.h"

#include <utility>

#include "shared/net/text.h"

namespace sidetap::certificates {
namespace {

/// Names of Kubernetes objects (RFC 1123), separated by commas.
Result<std::vector<std::string>> parse_names(std::string_view text) {
  const Error accepted{"names of lower case letters, digits, '-' and '.', separated by commas"};
  std::vector<std::string> names;
  for (const std::string_view name : net::Items(text)) {
    if (name.empty() || name.size() > 253 ||
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") != name.npos) {
      return accepted;
    }
    names.emplace_back(name);
  }
  return names;
}

Result<std::string> parse_name(std::string_view text) {
  auto names = parse_names(text);
  if (!names || names->size() != 1) {
    return Error{"a name of lower case letters, digits, '-' and '.'"};
  }
  return std::move(names->front());
}

}  // namespace

void declare_self_managed(config::OptionSet& options, SelfManagedOptions& into) {
  options.add<std::string>(
      {.flag = "--certs-namespace",
       .env = "SIDETAP_CERTS_NAMESPACE",
       .value = "NAME",
       .help = "namespace of the Secret and the Services; if unset: the pod's namespace"},
      parse_name, into.name_space);
  options.add<std::string>(
      {.flag = "--certs-secret",
       .env = "SIDETAP_CERTS_SECRET",
       .value = "NAME",
       .fallback = "sidetap-webhook-tls",
       .help = "Secret that holds the self-managed certificates; created if it is missing"},
      parse_name, into.secret);
  options.add<std::vector<std::string>>(
      {.flag = "--certs-services",
       .env = "SIDETAP_CERTS_SERVICES",
       .value = "NAME,...",
       .fallback = "sidetap-webhook,sidetap-registry",
       .help = "Services for whose names the self-managed certificate is valid"},
      parse_names, into.services);
  options.add<std::string>({.flag = "--certs-webhook-configuration",
                            .env = "SIDETAP_CERTS_WEBHOOK_CONFIGURATION",
                            .value = "NAME",
                            .fallback = "sidetap-webhook",
                            .help = "MutatingWebhookConfiguration whose caBundle follows the "
                                    "self-managed certificates"},
                           parse_name, into.webhook_configuration);
  options.add<std::string>(
      {.flag = "--certs-collector-secret",
       .env = "SIDETAP_CERTS_COLLECTOR_SECRET",
       .value = "NAME",
       .help = "Secret that holds the collectors' certificate, signed by the same CA; created if "
               "it is missing; if unset: no certificate for collectors"},
      parse_name, into.collector_secret);
  options.add<std::vector<std::string>>(
      {.flag = "--certs-collector-services",
       .env = "SIDETAP_CERTS_COLLECTOR_SERVICES",
       .value = "NAME,...",
       .fallback = "sidetap-collector",
       .help = "Services for whose names the collectors' certificate is valid"},
      parse_names, into.collector_services);
  options.add<std::string>(
      {.flag = "--service-account",
       .env = "SIDETAP_SERVICE_ACCOUNT",
       .value = "FOLDER",
       .fallback = "/var/run/secrets/kubernetes.io/serviceaccount",
       .help = "folder with the token and the CA for the API server, and the pod's namespace"},
      config::any_text(), into.service_account);
}

KeeperConfig keeper_config(const SelfManagedOptions& options, const std::string& own_namespace) {
  KeeperConfig config;
  config.name_space = options.name_space.empty() ? own_namespace : options.name_space;
  config.secret = options.secret;
  config.services = options.services;
  config.webhook_configuration = options.webhook_configuration;
  config.collector_secret = options.collector_secret;
  config.collector_services = options.collector_services;
  return config;
}

}  // namespace sidetap::certificates
