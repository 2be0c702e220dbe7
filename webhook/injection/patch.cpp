#include "webhook/injection/patch.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "webhook/injection/container.h"
#include "webhook/json/text.h"
#include "webhook/pods/warning.h"

namespace sidetap::injection {
namespace {

using configuration::Configuration;
using json::JsonWriter;
using pods::Pod;

/// Bytes of all operations except the one that adds the container, for most pods.
constexpr std::size_t kOtherOperations = 1024;

/// r--r--r--, as JSON has no octal numbers.
constexpr std::uint32_t kReadOnlyMode = 0444;

/// Writes the operations.
class Patch {
 public:
  /// `size` is the approximate length.
  explicit Patch(std::size_t size) : json_(text_) {
    text_.reserve(size);
    json_.begin_array();
  }

  /// `value` is JSON.
  void add(std::string_view path, std::string_view value) { write("add", path, value); }
  void replace(std::string_view path, std::string_view value) { write("replace", path, value); }
  std::string finish() {
    json_.end_array();
    return std::move(text_);
  }

 private:
  void write(std::string_view operation, std::string_view path, std::string_view value) {
    json_.begin_object().member("op", operation).member("path", path).key("value").raw(value);
    json_.end_object();
  }

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
std::string token_volume_name(const Pod& pod, const Configuration& configuration) {
  const std::string& name = configuration.sidecar.name;
  if (has_token(configuration)) return free_volume_name(pod, name + "-token");
  return pod.mounts_api_token ? free_volume_name(pod, name + "-no-token") : std::string();
}

/// The names of all volumes that the tap needs. The two never meet: they end differently.
Mounts mounts_of(const Pod& pod, const Settings& settings, const Configuration& configuration) {
  Mounts mounts{.token = token_volume_name(pod, configuration)};
  if (!configuration::sensor_secret_of(settings.profile, configuration).empty())
    mounts.sensor_secret = free_volume_name(pod, configuration.sidecar.name + "-sensor");
  return mounts;
}

std::string token_volume_json(std::string_view name, const Configuration& configuration) {
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

/// The Secret need not exist: its absence must not keep the pod from starting. Everybody in the
/// tap's container may read it, because the tap may run as any user.
std::string secret_volume_json(std::string_view name, std::string_view secret) {
  std::string text;
  JsonWriter json(text);
  json.begin_object().member("name", name).key("secret").begin_object();
  json.member("secretName", secret).key("optional").boolean(true);
  json.key("defaultMode").number(kReadOnlyMode).end_object().end_object();
  return text;
}

void add_volumes(Patch& patch, const Pod& pod, const Mounts& mounts, const Settings& settings,
                 const Configuration& configuration) {
  bool there = pod.volumes.there;
  const auto add = [&](const std::string& volume) {
    add_to_list(patch, there, "/spec/volumes", volume);
    there = true;
  };
  if (!mounts.token.empty()) add(token_volume_json(mounts.token, configuration));
  if (!mounts.sensor_secret.empty())
    add(secret_volume_json(mounts.sensor_secret,
                           configuration::sensor_secret_of(settings.profile, configuration)));
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

std::string status_json(const Settings& settings, const Mounts& mounts,
                        const std::vector<std::string>& secrets,
                        const Configuration& configuration) {
  std::string text;
  JsonWriter json(text);
  json.begin_object().member("version", SIDETAP_VERSION);
  json.member("form", settings.form == Form::kNative ? "native" : "container");
  json.member("container", configuration.sidecar.name).member("image", settings.image);
  json.key("statusPort").number(settings.status_port);
  if (!mounts.token.empty() || !mounts.sensor_secret.empty()) {
    json.key("volumes").begin_array();
    for (const std::string& volume : {mounts.token, mounts.sensor_secret})
      if (!volume.empty()) json.string(volume);
    json.end_array();
  }
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
  const Mounts mounts = mounts_of(pod, settings, configuration);
  const std::string container = container_json(settings, mounts, configuration);
  Patch patch(container.size() + kOtherOperations);
  add_container(patch, pod, settings.form, container);
  add_volumes(patch, pod, mounts, settings, configuration);
  const auto missing = missing_secrets(pod, configuration.sidecar.image_pull_secrets);
  add_secrets(patch, pod, missing);

  std::vector<std::pair<std::string_view, std::string>> annotations;
  annotations.emplace_back(pods::kStatusKey, status_json(settings, mounts, missing, configuration));
  // A Secret keeps no node.
  if (!mounts.token.empty())
    annotations.emplace_back(pods::kSafeToEvictKey, safe_to_evict(pod, mounts.token));
  add_annotations(patch, pod, annotations);
  return patch.finish();
}

std::string restore_patch(std::size_t index) {
  Patch patch(128);
  patch.add("/spec/initContainers/" + std::to_string(index) + "/restartPolicy", R"("Always")");
  return patch.finish();
}

std::string ephemeral_patch(std::string_view name, std::size_t index, const Pod& pod,
                            const Settings& settings, const Configuration& configuration,
                            std::vector<std::string>& warnings) {
  for (const std::string& secret : missing_secrets(pod, configuration.sidecar.image_pull_secrets))
    warnings.push_back(pods::warning("the pod lacks the pull secret " + pods::in_quotes(secret) +
                                     ", which cannot be added while it runs"));
  const std::string container = ephemeral_container_json(name, settings, configuration);
  Patch patch(container.size() + 128);
  patch.replace("/spec/ephemeralContainers/" + std::to_string(index), container);
  return patch.finish();
}

}  // namespace sidetap::injection
