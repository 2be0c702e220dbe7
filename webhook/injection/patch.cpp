#include "webhook/injection/patch.h"

#include <algorithm>
#include <vector>

#include "webhook/injection/container.h"
#include "webhook/json/text.h"

namespace sidetap::injection {
namespace {

using configuration::Configuration;
using json::JsonWriter;
using pods::Pod;

/// Bytes of all operations except the one that adds the container, for most pods.
constexpr std::size_t kOtherOperations = 1024;

/// Writes the operations.
class Patch {
 public:
  /// `size` is the approximate length.
  explicit Patch(std::size_t size) : json_(text_) {
    text_.reserve(size);
    json_.begin_array();
  }

  /// `value` is JSON.
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

/// Appends to a list, and creates the list if it is missing.
void add_to_list(Patch& patch, bool there, const std::string& path, const std::string& value) {
  if (there)
    patch.add(path + "/-", value);
  else
    patch.add(path, "[" + value + "]");
}

/// A name for the tap's volume that the pod does not use yet.
std::string free_volume_name(const Pod& pod, const std::string& wanted) {
  const auto& present = pod.volumes.all;
  if (std::find(present.begin(), present.end(), wanted) == present.end()) return wanted;
  // A hostile pod may use many of the names.
  std::vector<std::string_view> taken = present;
  std::sort(taken.begin(), taken.end());
  std::string name;
  for (unsigned i = 2; name.empty() || std::binary_search(taken.begin(), taken.end(), name); ++i)
    name = wanted + "-" + std::to_string(i);
  return name;
}

/// The name of the volume to mount in place of the API token; empty if none is needed.
std::string volume_name(const Pod& pod, const Configuration& configuration) {
  const std::string& name = configuration.sidecar.name;
  if (has_token(configuration)) return free_volume_name(pod, name + "-token");
  return pod.mounts_api_token ? free_volume_name(pod, name + "-no-token") : std::string();
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

/// The names of the secrets that the pod does not have yet.
std::vector<std::string> missing_secrets(const Pod& pod, const std::vector<std::string>& wanted) {
  const auto& present = pod.image_pull_secrets.all;
  std::vector<std::string> missing;
  for (const std::string& name : wanted)
    if (std::find(present.begin(), present.end(), name) == present.end()) missing.push_back(name);
  return missing;
}

void add_secrets(Patch& patch, const Pod& pod, const std::vector<std::string>& names) {
  if (names.empty()) return;
  const bool there = pod.image_pull_secrets.there;
  std::string all;
  JsonWriter json(all);
  json.begin_array();
  for (const std::string& name : names) {
    std::string one;
    JsonWriter(one).begin_object().member("name", name).end_object();
    if (there) patch.add("/spec/imagePullSecrets/-", one);
    json.raw(one);
  }
  json.end_array();
  if (!there) patch.add("/spec/imagePullSecrets", all);
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

void add_annotations(Patch& patch, const Pod& pod,
                     const std::vector<std::pair<std::string_view, std::string>>& wanted) {
  if (pod.has_annotations) {
    for (const auto& [key, value] : wanted)
      patch.add("/metadata/annotations/" + json::pointer_step(key), json_string(value));
    return;
  }
  std::string text;
  JsonWriter json(text);
  if (!pod.has_metadata) json.begin_object().key("annotations");
  json.begin_object();
  for (const auto& [key, value] : wanted) json.member(key, value);
  json.end_object();
  if (!pod.has_metadata) json.end_object();
  patch.add(pod.has_metadata ? "/metadata/annotations" : "/metadata", text);
}

/// Adds the volume to the annotation, so that it does not keep the autoscaler from removing a node.
std::string safe_to_evict(const Pod& pod, const std::string& volume) {
  return pod.safe_to_evict.empty() ? volume : std::string(pod.safe_to_evict) + "," + volume;
}

void add_container(Patch& patch, const Pod& pod, Form form, const std::string& container) {
  if (form == Form::kContainer)
    patch.add("/spec/containers/-", container);
  else if (pod.init_containers().empty())
    add_to_list(patch, pod.has_init_containers, "/spec/initContainers", container);
  else  // first, so that it also captures the traffic of the other init containers
    patch.add("/spec/initContainers/0", container);
}

}  // namespace

std::string inject_patch(const Pod& pod, const Settings& settings,
                         const Configuration& configuration) {
  const std::string volume = volume_name(pod, configuration);
  const std::string container = container_json(settings, volume, configuration);
  Patch patch(container.size() + kOtherOperations);
  add_container(patch, pod, settings.form, container);
  if (!volume.empty())
    add_to_list(patch, pod.volumes.there, "/spec/volumes", volume_json(volume, configuration));
  const auto missing = missing_secrets(pod, configuration.sidecar.image_pull_secrets);
  add_secrets(patch, pod, missing);

  std::vector<std::pair<std::string_view, std::string>> annotations;
  annotations.emplace_back(pods::kStatusKey, status_json(settings, volume, missing, configuration));
  if (!volume.empty()) annotations.emplace_back(pods::kSafeToEvictKey, safe_to_evict(pod, volume));
  add_annotations(patch, pod, annotations);
  return patch.finish();
}

std::string restore_patch(std::size_t index) {
  Patch patch(128);
  patch.add("/spec/initContainers/" + std::to_string(index) + "/restartPolicy", R"("Always")");
  return patch.finish();
}

}  // namespace sidetap::injection
