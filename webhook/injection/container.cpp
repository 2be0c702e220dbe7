#include "webhook/injection/container.h"

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

void write_environment(JsonWriter& json, const Settings& settings,
                       const Configuration& configuration) {
  Environment env(json, configuration.sidecar.env);
  env.field(tap::kPodName.env, "metadata.name");
  env.field(tap::kPodNamespace.env, "metadata.namespace");
  env.field(tap::kNodeName.env, "spec.nodeName");
  env.field(tap::kPodIps.env, "status.podIPs");
  write_settings(env, settings, configuration);
  if (!configuration.registry.address.empty()) {
    env.text(tap::kRegistry.env, configuration.registry.address);
    if (!configuration.registry.ca.empty())
      env.text(tap::kRegistryCa.env, configuration.registry.ca);
    if (settings.form == Form::kNative) env.text(tap::kNativeSidecar.env, "on");
  }
  if (has_token(configuration))
    env.text(tap::kRegistryTokenFile.env,
             std::string(kTokenDirectory) + "/" + std::string(kTokenFile));
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

}  // namespace

bool has_token(const Configuration& configuration) {
  return !configuration.registry.address.empty() && configuration.registry.token;
}

std::string container_json(const Settings& settings, std::string_view volume,
                           const Configuration& configuration) {
  const configuration::Sidecar& sidecar = configuration.sidecar;
  std::string text;
  text.reserve(2560 + configuration.registry.ca.size());
  JsonWriter json(text);
  // A field from the operator replaces the built-in one.
  const auto field = [&](std::string_view name, auto&& write) {
    if (sidecar.fields.contains(std::string(name))) return;
    json.key(name);
    write();
  };
  const auto text_field = [&](std::string_view name, std::string_view value) {
    field(name, [&] { json.string(value); });
  };

  json.begin_object().member("name", sidecar.name).member("image", settings.image);
  json.member("imagePullPolicy", sidecar.image_pull_policy);
  if (settings.form == Form::kNative) json.member("restartPolicy", "Always");
  field("command", [&] { json.begin_array().string("/usr/bin/sidetap-sidecar").end_array(); });
  field("args", [&] { json.begin_array().string("run").end_array(); });
  json.key("env").begin_array();
  write_environment(json, settings, configuration);
  json.end_array();
  json.key("ports");
  write_ports(json, settings.status_port);
  write_resources(json, settings);
  if (!volume.empty()) {
    json.key("volumeMounts").begin_array().begin_object().member("name", volume);
    json.member("mountPath", kTokenDirectory).key("readOnly").boolean(true);
    json.end_object().end_array();
  }
  field("livenessProbe", [&] { write_liveness(json); });
  text_field("terminationMessagePolicy", "FallbackToLogsOnError");
  field("securityContext", [&] { write_security(json, sidecar.capabilities); });
  for (const auto& [name, value] : sidecar.fields) json.key(name).raw(value);
  json.end_object();
  return text;
}

}  // namespace sidetap::injection
