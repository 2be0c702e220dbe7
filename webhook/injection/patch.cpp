#include "webhook/injection/patch.h"

#include <algorithm>
#include <vector>

#include "webhook/injection/container.h"
#include "webhook/json/text.h"

namespace sidetap::injection {
namespace {

using admission::find;
using admission::Form;
using admission::JsonWriter;
using admission::Value;
using configuration::Configuration;

constexpr std::string_view kSafeToEvictKey =
    "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";

/// Writes the operations.
class Patch {
 public:
  Patch() : json_(text_) { json_.begin_array(); }

  /// The value is JSON.
  void add(std::string_view path, std::string_view value) {
    json_.begin_object().member("op", "add").member("path", path).key("value").raw(value);
    json_.end_object();
  }
  std::string finish() {
    json_.end_array();
    return std::move(text_);
  }

 private:
  std::string text_;
  JsonWriter json_;
};

std::string json_string(std::string_view value) {
  std::string text;
  JsonWriter(text).string(value);
  return text;
}

/// Adds to a list that may not be there; `at` is an index or "-" for its end.
void add_to_list(Patch& patch, const std::optional<Value>& list, const std::string& path,
                 std::string_view at, const std::string& value) {
  if (list)
    patch.add(path + "/" + std::string(at), value);
  else
    patch.add(path, "[" + value + "]");
}

/// A name for the tap's volume that no volume of the pod has.
std::string free_volume_name(const std::optional<Value>& volumes, const std::string& wanted) {
  std::vector<std::string_view> taken;
  admission::each_element(
      volumes, [&](Value volume) { taken.push_back(admission::text_of(volume, "name")); });
  std::string name = wanted;
  for (unsigned i = 2; std::find(taken.begin(), taken.end(), name) != taken.end(); ++i)
    name = wanted + "-" + std::to_string(i);
  return name;
}

/// The name of the volume that lies where the API token would; empty: none is needed.
std::string volume_name(Value spec, const Configuration& configuration) {
  const auto volumes = find(spec, "volumes");
  const std::string& name = configuration.sidecar.name;
  if (has_token(configuration)) return free_volume_name(volumes, name + "-token");
  const auto automount = find(spec, "automountServiceAccountToken");
  const bool needed = !automount || admission::is_true(automount);
  return needed ? free_volume_name(volumes, name + "-no-token") : std::string();
}

std::string volume_json(std::string_view name, const Configuration& configuration) {
  std::string text;
  JsonWriter json(text);
  json.begin_object().member("name", name);
  if (!has_token(configuration)) {
    json.key("emptyDir").begin_object().end_object().end_object();
    return text;
  }
  json.key("projected").begin_object();
  json.key("sources").begin_array().begin_object().key("serviceAccountToken").begin_object();
  json.member("audience", kTokenAudience)
      .key("expirationSeconds")
      .number(configuration.registry.token_life);
  json.member("path", kTokenFile).end_object().end_object().end_array();
  json.end_object().end_object();
  return text;
}

/// Names of the secrets that the pod has not yet.
std::vector<std::string> missing_secrets(const std::optional<Value>& secrets,
                                         const std::vector<std::string>& wanted) {
  std::vector<std::string> missing;
  for (const std::string& name : wanted) {
    bool there = false;
    admission::each_element(secrets, [&](Value secret) {
      there = there || admission::text_of(secret, "name") == name;
    });
    if (!there) missing.push_back(name);
  }
  return missing;
}

void add_secrets(Patch& patch, const std::optional<Value>& secrets,
                 const std::vector<std::string>& names) {
  if (names.empty()) return;
  std::string all;
  JsonWriter json(all);
  json.begin_array();
  for (const std::string& name : names) {
    std::string one;
    JsonWriter(one).begin_object().member("name", name).end_object();
    if (secrets) patch.add("/spec/imagePullSecrets/-", one);
    json.raw(one);
  }
  json.end_array();
  if (!secrets) patch.add("/spec/imagePullSecrets", all);
}

std::string status_json(const Settings& settings, std::string_view volume,
                        const std::vector<std::string>& secrets,
                        const Configuration& configuration) {
  std::string text;
  JsonWriter json(text);
  json.begin_object().member("version", SIDETAP_VERSION);
  json.member("form", settings.form == Form::kNative ? "native" : "container");
  json.member("container", configuration.sidecar.name).member("image", settings.image);
  json.key("statusPort").number(settings.status_port);
  if (!volume.empty()) json.key("volumes").begin_array().string(volume).end_array();
  if (!secrets.empty()) {
    json.key("imagePullSecrets").begin_array();
    for (const std::string& name : secrets) json.string(name);
    json.end_array();
  }
  json.end_object();
  return text;
}

void add_annotations(Patch& patch, Value pod,
                     const std::vector<std::pair<std::string_view, std::string>>& wanted) {
  const auto metadata = find(pod, "metadata");
  if (find(metadata, "annotations")) {
    for (const auto& [key, value] : wanted)
      patch.add("/metadata/annotations/" + admission::pointer_step(key), json_string(value));
    return;
  }
  std::string text;
  JsonWriter json(text);
  if (!metadata) json.begin_object().key("annotations");
  json.begin_object();
  for (const auto& [key, value] : wanted) json.member(key, value);
  json.end_object();
  if (!metadata) json.end_object();
  patch.add(metadata ? "/metadata/annotations" : "/metadata", text);
}

/// The volume must not keep the autoscaler from removing a node.
std::string safe_to_evict(Value pod, const std::string& volume) {
  const auto annotations = find(find(pod, "metadata"), "annotations");
  const std::string_view there = admission::text_of(annotations, kSafeToEvictKey);
  return there.empty() ? volume : std::string(there) + "," + volume;
}

}  // namespace

std::string inject_patch(Value pod, const Settings& settings, const Configuration& configuration) {
  const auto spec = find(pod, "spec");
  const auto volumes = find(spec, "volumes");
  const std::string volume = volume_name(*spec, configuration);
  const std::string container = container_json(settings, volume, configuration);

  Patch patch;
  if (settings.form == Form::kNative) {
    const auto list = find(spec, "initContainers");
    // First, so that it sees the traffic of the other init containers too.
    const auto array = admission::as_array(list);
    add_to_list(patch, list, "/spec/initContainers", array && array->size() > 0 ? "0" : "-",
                container);
  } else {
    patch.add("/spec/containers/-", container);
  }
  if (!volume.empty())
    add_to_list(patch, volumes, "/spec/volumes", "-", volume_json(volume, configuration));
  const auto secrets = find(spec, "imagePullSecrets");
  const auto missing = missing_secrets(secrets, configuration.sidecar.image_pull_secrets);
  add_secrets(patch, secrets, missing);

  std::vector<std::pair<std::string_view, std::string>> annotations;
  annotations.emplace_back(admission::kStatusKey,
                           status_json(settings, volume, missing, configuration));
  if (!volume.empty()) annotations.emplace_back(kSafeToEvictKey, safe_to_evict(pod, volume));
  add_annotations(patch, pod, annotations);
  return patch.finish();
}

std::string restore_patch(std::size_t index) {
  Patch patch;
  patch.add("/spec/initContainers/" + std::to_string(index) + "/restartPolicy", R"("Always")");
  return patch.finish();
}

}  // namespace sidetap::injection
