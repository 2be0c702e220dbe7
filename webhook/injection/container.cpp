#include "webhook/injection/container.h"

#include <array>

#include "shared/tap/assigned.h"
#include "webhook/json/text.h"

namespace sidetap::injection {
namespace {

using configuration::Configuration;
using json::JsonWriter;

/// Writes the environment. The operator's own variables take precedence.
class Environment {
 public:
  using Extra = decltype(configuration::Sidecar::env);
  Environment(JsonWriter& json, const Extra& extra) : json_(json), extra_(extra) {}

  void text(std::string_view name, std::string_view value) {
    if (extra_.contains(name)) return;
    json_.begin_object().member("name", name).member("value", value).end_object();
  }
  /// From the downward API: the kubelet sets the value when the pod starts.
  void field(std::string_view name, std::string_view path) {
    if (extra_.contains(name)) return;
    json_.begin_object().member("name", name).key("valueFrom").begin_object();
    json_.key("fieldRef").begin_object().member("apiVersion", "v1").member("fieldPath", path);
    json_.end_object().end_object().end_object();
  }
  void rest() {
    for (const auto& [name, value] : extra_)
      json_.begin_object().member("name", name).member("value", value).end_object();
  }

 private:
  JsonWriter& json_;
  const Extra& extra_;
};

void write_settings(Environment& env, const Settings& settings,
                    const Configuration& configuration) {
  for (const tap::Setting& setting : tap::kSettings) {
    const std::string_view value = settings.told(setting, configuration);
    if (value == setting.implied) continue;
    if (setting.before.empty()) {
      env.text(setting.option.env, value);
    } else {
      env.text(setting.option.env, std::string(setting.before).append(value));
    }
  }
}

enum class TokenFrom : bool { kFile, kOrders };

void write_environment(JsonWriter& json, const Settings& settings, const Mounts& mounts,
                       const Configuration& configuration, TokenFrom from) {
  Environment env(json, configuration.sidecar.env);
  env.field(tap::kPodName.env, "metadata.name");
  env.field(tap::kPodNamespace.env, "metadata.namespace");
  env.field(tap::kNodeName.env, "spec.nodeName");
  env.field(tap::kPodIps.env, "status.podIPs");
  write_settings(env, settings, configuration);
  if (!settings.mesh_kind.empty()) env.text(tap::kMeshKind.env, settings.mesh_kind);
  if (!configuration.registry.address.empty()) {
    env.text(tap::kRegistry.env, configuration.registry.address);
    if (!configuration.registry.ca.empty())
      env.text(tap::kRegistryCa.env, configuration.registry.ca);
    if (settings.form == Form::kNative) env.text(tap::kNativeSidecar.env, "on");
    if (!settings.chosen_profile.empty()) env.text(tap::kProfile.env, settings.chosen_profile);
    const std::string controls = configuration::to_string(settings.controls);
    if (controls != tap::kRegistryControl.fallback) env.text(tap::kRegistryControl.env, controls);
  }
  if (has_token(configuration))
    env.text(tap::kRegistryTokenFile.env,
             from == TokenFrom::kOrders
                 ? std::string(tap::kTokenFromOrders)
                 : std::string(kTokenDirectory) + "/" + std::string(kTokenFile));
  if (from == TokenFrom::kOrders) env.text(tap::kStdinOrders.env, "on");
  if (!mounts.sensor_secret.empty()) env.text(tap::kSensorSecretDir.env, kSensorSecretDirectory);
  env.rest();
}

void write_amounts(JsonWriter& json, std::string_view name, const configuration::Amounts& amounts) {
  json.key(name).begin_object();
  if (!amounts.cpu.empty()) json.member("cpu", amounts.cpu);
  if (!amounts.memory.empty()) json.member("memory", amounts.memory);
  json.end_object();
}

void write_resources(JsonWriter& json, const Settings& settings) {
  if (settings.limits.cpu.empty() && settings.limits.memory.empty()) return;
  json.key("resources").begin_object();
  write_amounts(json, "requests", settings.requests);
  write_amounts(json, "limits", settings.limits);
  json.end_object();
}

void write_security(JsonWriter& json, configuration::Capabilities capabilities) {
  json.begin_object().key("runAsUser").number(0).key("runAsNonRoot").boolean(false);
  json.key("privileged").boolean(false).key("allowPrivilegeEscalation").boolean(false);
  json.key("readOnlyRootFilesystem").boolean(true);
  if (capabilities == configuration::Capabilities::kExplicit) {
    json.key("capabilities").begin_object().key("drop").begin_array().string("ALL").end_array();
    json.key("add").begin_array().string("NET_RAW").end_array().end_object();
  }
  json.key("seccompProfile").begin_object().member("type", "RuntimeDefault").end_object();
  json.end_object();
}

void write_liveness(JsonWriter& json) {
  json.begin_object().key("httpGet").begin_object();
  json.member("path", "/healthz").member("port", kStatusPortName).end_object();
  json.key("periodSeconds").number(10).key("timeoutSeconds").number(5);
  json.key("failureThreshold").number(6).end_object();
}

void write_ports(JsonWriter& json, std::uint16_t port) {
  json.begin_array().begin_object().member("name", kStatusPortName);
  json.key("containerPort").number(port).member("protocol", "TCP").end_object().end_array();
}

void write_mounts(JsonWriter& json, const Mounts& mounts) {
  const auto mount = [&](std::string_view volume, std::string_view path) {
    if (volume.empty()) return;
    json.begin_object().member("name", volume).member("mountPath", path);
    json.key("readOnly").boolean(true).end_object();
  };
  if (mounts.token.empty() && mounts.sensor_secret.empty()) return;
  json.key("volumeMounts").begin_array();
  mount(mounts.token, kTokenDirectory);
  mount(mounts.sensor_secret, kSensorSecretDirectory);
  json.end_array();
}

/// Fields of an operator's template that an ephemeral container can have.
constexpr std::array<std::string_view, 7> kEphemeralFields = {"args",
                                                              "command",
                                                              "envFrom",
                                                              "securityContext",
                                                              "terminationMessagePath",
                                                              "terminationMessagePolicy",
                                                              "workingDir"};

/// Writes a built-in field if the operator's template does not replace it.
template <typename Write>
void write_field(JsonWriter& json, const configuration::Sidecar& sidecar, std::string_view name,
                 Write&& write) {
  if (sidecar.fields.contains(std::string(name))) return;
  json.key(name);
  write();
}

void write_program(JsonWriter& json, const configuration::Sidecar& sidecar) {
  write_field(json, sidecar, "command",
              [&] { json.begin_array().string("/usr/bin/sidetap-sidecar").end_array(); });
  write_field(json, sidecar, "args", [&] { json.begin_array().string("run").end_array(); });
}

void write_end(JsonWriter& json, const configuration::Sidecar& sidecar) {
  write_field(json, sidecar, "terminationMessagePolicy",
              [&] { json.string("FallbackToLogsOnError"); });
  write_field(json, sidecar, "securityContext",
              [&] { write_security(json, sidecar.capabilities); });
}

}  // namespace

bool has_token(const Configuration& configuration) {
  return !configuration.registry.address.empty() && configuration.registry.token;
}

std::string container_json(const Settings& settings, const Mounts& mounts,
                           const Configuration& configuration) {
  const configuration::Sidecar& sidecar = configuration.sidecar;
  std::string text;
  text.reserve(2560 + configuration.registry.ca.size());
  JsonWriter json(text);
  json.begin_object().member("name", sidecar.name).member("image", settings.image);
  json.member("imagePullPolicy", sidecar.image_pull_policy);
  if (settings.form == Form::kNative) json.member("restartPolicy", "Always");
  write_program(json, sidecar);
  json.key("env").begin_array();
  write_environment(json, settings, mounts, configuration, TokenFrom::kFile);
  json.end_array();
  json.key("ports");
  write_ports(json, settings.status_port);
  write_resources(json, settings);
  write_mounts(json, mounts);
  write_field(json, sidecar, "livenessProbe", [&] { write_liveness(json); });
  write_end(json, sidecar);
  for (const auto& [name, value] : sidecar.fields) json.key(name).raw(value);
  json.end_object();
  return text;
}

std::string ephemeral_container_json(std::string_view name, const Settings& settings,
                                     const Configuration& configuration) {
  const configuration::Sidecar& sidecar = configuration.sidecar;
  std::string text;
  text.reserve(2048 + configuration.registry.ca.size());
  JsonWriter json(text);
  json.begin_object().member("name", name).member("image", settings.image);
  json.member("imagePullPolicy", sidecar.image_pull_policy);
  write_program(json, sidecar);
  json.key("env").begin_array();
  write_environment(json, settings, Mounts{}, configuration, TokenFrom::kOrders);
  json.end_array();
  write_end(json, sidecar);
  for (const std::string_view field : kEphemeralFields) {
    const auto given = sidecar.fields.find(std::string(field));
    if (given != sidecar.fields.end()) json.key(field).raw(given->second);
  }
  // Open after the first one who writes there has gone: later orders come the same way.
  json.key("stdin").boolean(true).key("stdinOnce").boolean(false).end_object();
  return text;
}

}  // namespace sidetap::injection
