#include "webhook/configuration/pod_security.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "shared/json_members.h"

namespace sidetap::configuration {
namespace {

using Json = nlohmann::json;

bool is_one_of(const Json& text, const auto& words) {
  return text.is_string() &&
         std::find(words.begin(), words.end(), text.get_ref<const std::string&>()) != words.end();
}

bool is_unset(const Json& value) { return value.is_null() || value == ""; }

bool capabilities_pass(const Json& capabilities) {
  constexpr std::array<std::string_view, 13> kHarmless = {
      "AUDIT_WRITE",      "CHOWN",   "DAC_OVERRIDE", "FOWNER",  "FSETID", "KILL",      "MKNOD",
      "NET_BIND_SERVICE", "SETFCAP", "SETGID",       "SETPCAP", "SETUID", "SYS_CHROOT"};
  const Json& added = member(capabilities, "add");
  return std::all_of(added.begin(), added.end(),
                     [&](const Json& one) { return is_one_of(one, kHarmless); });
}

bool security_context_passes(const Json& context) {
  constexpr std::array<std::string_view, 4> kTypes = {"container_t", "container_init_t",
                                                      "container_kvm_t", "container_engine_t"};
  const Json& linux_options = member(context, "seLinuxOptions");
  const Json& type = member(linux_options, "type");
  return capabilities_pass(member(context, "capabilities")) &&
         member(context, "privileged") != true &&
         member(member(context, "seccompProfile"), "type") != "Unconfined" &&
         member(member(context, "appArmorProfile"), "type") != "Unconfined" &&
         is_unset(member(linux_options, "user")) && is_unset(member(linux_options, "role")) &&
         (is_unset(type) || is_one_of(type, kTypes));
}

/// Whether a probe or handler names no other host, which "baseline" requires from server 1.34 on.
bool stays_in_the_pod(const Json& handler) {
  return is_unset(member(member(handler, "httpGet"), "host")) &&
         is_unset(member(member(handler, "tcpSocket"), "host"));
}

bool field_passes(std::string_view name, const std::string& text) {
  const Json value = Json::parse(text, nullptr, false);
  if (name == "securityContext") return security_context_passes(value);
  if (name == "lifecycle") {
    return stays_in_the_pod(member(value, "postStart")) &&
           stays_in_the_pod(member(value, "preStop"));
  }
  return stays_in_the_pod(value);
}

}  // namespace

Sidecar at_baseline(Sidecar sidecar) {
  sidecar.capabilities = Capabilities::kRuntimeDefault;
  std::erase_if(sidecar.fields,
                [](const auto& field) { return !field_passes(field.first, field.second); });
  return sidecar;
}

}  // namespace sidetap::configuration
