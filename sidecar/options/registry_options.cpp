#include "sidecar/options/registry_options.h"

#include <fstream>
#include <iterator>

#include "shared/tap/assigned.h"

namespace sidetap {
namespace {

config::Parser<std::optional<net::HostPort>> registry_address() {
  return [parse = config::host_port(tap::kRegistryPort)](
             std::string_view text) -> Result<std::optional<net::HostPort>> {
    auto address = parse(text);
    if (!address) return address.error();
    return std::optional(std::move(*address));
  };
}

/// The webhook passes the certificates as text; people have them in a file.
config::Parser<std::string> pem_text_or_file() {
  return [](std::string_view text) -> Result<std::string> {
    if (text.find("-----BEGIN") != text.npos) return std::string(text);
    std::ifstream file{std::string(text), std::ios::binary};
    std::string pem{std::istreambuf_iterator<char>(file), {}};
    if (!file && pem.empty()) return Error{"PEM text, or a file that holds it and can be read"};
    return pem;
  };
}

}  // namespace

void declare_registry(config::OptionSet& options, RegistryOptions& into) {
  options.add<std::optional<net::HostPort>>(tap::kRegistry, registry_address(), into.address);
  options.add<std::string>(tap::kRegistryCa, pem_text_or_file(), into.ca);
  options.add<std::string>({.flag = "--registry-name",
                            .env = "REGISTRY_NAME",
                            .value = "NAME",
                            .help = "name in the registry's certificate; none: its host"},
                           config::any_text(), into.server_name);
  options.add<std::string>(tap::kRegistryTokenFile, config::any_text(), into.token_file);
  options.add<std::int64_t>(
      {.flag = "--registry-grace",
       .env = "REGISTRY_GRACE",
       .value = "TIME",
       .fallback = "15s",
       .help = "how long the registry's last list stays valid while none of its "
               "replicas answers; then every peer counts as untapped"},
      config::duration_ms(0, 600'000), into.grace_ms);
  options.add<bool>(tap::kNativeSidecar, config::on_off(), into.native_sidecar);
}

Result<void> check_registry(const RegistryOptions& options) {
  if (options.address && options.ca.empty()) {
    return Error{"--registry-ca (env REGISTRY_CA): required with --registry: PEM text or a file"};
  }
  return {};
}

}  // namespace sidetap
