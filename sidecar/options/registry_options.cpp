#include "sidecar/options/registry_options.h"

#include "shared/read_file.h"
#include "shared/tap/assigned.h"
#include "shared/tap/settings.h"

namespace sidetap {

config::Parser<std::optional<net::HostPort>> registry_address() {
  return [parse = config::host_port(tap::kRegistryPort)](
             std::string_view text) -> Result<std::optional<net::HostPort>> {
    auto address = parse(text);
    if (!address) return address.error();
    return std::optional(std::move(*address));
  };
}

Result<std::string> read_pem(const std::string& text_or_file) {
  if (text_or_file.find("-----BEGIN") != std::string::npos) return text_or_file;
  return read_file(text_or_file);
}

config::Parser<std::string> pem_text_or_file() {
  return [](std::string_view text) -> Result<std::string> {
    auto pem = read_pem(std::string(text));
    if (!pem) return Error{"PEM text, or a file that holds it and can be read"};
    return pem;
  };
}

namespace {

config::Parser<std::vector<std::string>> controls() {
  return [](std::string_view text) -> Result<std::vector<std::string>> {
    const auto controls = tap::parse_controls(text);
    if (!controls) return controls.error();
    const auto names = tap::names_of(*controls);
    return std::vector<std::string>(names.begin(), names.end());
  };
}

}  // namespace

void declare_registry(config::OptionSet& options, RegistryOptions& into) {
  options.add<std::optional<net::HostPort>>(tap::kRegistry, registry_address(), into.address);
  options.add<std::string>(tap::kRegistryCa, pem_text_or_file(), into.ca);
  options.add<std::string>({.flag = "--registry-name",
                            .env = "REGISTRY_NAME",
                            .value = "NAME",
                            .help = "name in the registry's certificate; if unset: its host"},
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
  options.add<std::string>(tap::kProfile, config::any_text(), into.profile);
  options.add<std::vector<std::string>>(tap::kRegistryControl, controls(), into.control);
}

Result<void> check_registry(const RegistryOptions& options) {
  if (options.address && options.ca.empty()) {
    return Error{"--registry-ca (env REGISTRY_CA): required with --registry: PEM text or a file"};
  }
  return {};
}

}  // namespace sidetap
