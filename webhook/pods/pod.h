// The parts of a pod that a review depends on, read from its JSON in one pass. Policy, settings and
// patch use only this view: what is not here does not affect injection. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "webhook/json/tree.h"
#include "webhook/pods/keys.h"
#include "webhook/pods/platform.h"

namespace sidetap::pods {

struct Annotation {
  std::string_view key;
  std::string_view value;  ///< Empty if it is not a string.
};

/// The controller of the pod, or another owner if it has none.
struct Owner {
  std::string_view kind;
  std::string_view name;
  std::string_view api_version;
  std::string_view uid;
  bool controller = false;
};

/// A container's request and limit for one resource, in its base unit (CPUs, bytes). Nothing: not
/// given. Zero: not a quantity.
struct Demand {
  std::optional<double> request;
  std::optional<double> limit;
};

struct Container {
  std::string_view name;
  bool has_restart_policy = false;
  Demand cpu;
  Demand memory;
};

/// A list of objects with names.
struct Names {
  bool there = false;  ///< The pod has the list, even if it is empty.
  std::vector<std::string_view> all;
};

/// All texts are valid as long as the document that the pod was read from. A value that is null or
/// of the wrong kind counts as missing.
struct Pod {
  /// Why a patch could not be applied to this pod. Empty: no fault.
  std::string_view fault;

  // Who asks for injection, and for which pod.
  /// The value of the annotation kInjectKey, or else of the label; "no text" if it is not a string.
  std::optional<std::string_view> inject;
  /// The other annotations with kAnnotationPrefix, except the status, in order.
  std::vector<Annotation> overrides;
  std::optional<json::Value> labels;  ///< Operators may select by any: see label().
  std::optional<Owner> owner;
  std::string_view name;  ///< Or generateName, if there is no name.
  bool of_job = false;

  // Where the pod runs, and for how long.
  Platform platform;
  bool mirror = false;  ///< The API's mirror of a static pod.
  bool host_network = false;
  bool ends = false;  ///< Its containers are not all restarted forever.

  // What the pod consists of.
  /// The application's containers, then the init containers.
  std::vector<Container> all_containers;
  std::size_t application_count = 0;
  bool has_init_containers = false;  ///< The pod has the list, even if it is empty.
  std::vector<std::int64_t> ports;   ///< Of all containers, ascending.
  bool bounds_cpu = false;           ///< The pod as a whole has a request or a limit.
  bool bounds_memory = false;
  Names volumes;
  Names image_pull_secrets;
  bool mounts_api_token = true;

  // What is present where a patch writes.
  bool has_metadata = false;
  bool has_annotations = false;
  bool has_status = false;  ///< The annotation kStatusKey.
  std::string_view safe_to_evict;

  /// The service mesh that has written its annotations: "istio", "ambient" or "linkerd"; empty:
  /// none yet. A static string.
  std::string_view mesh;

  std::span<const Container> containers() const {
    return std::span(all_containers).first(application_count);
  }
  std::span<const Container> init_containers() const {
    return std::span(all_containers).subspan(application_count);
  }
  /// The value of a label; nothing if it is missing or not a string.
  std::optional<std::string_view> label(std::string_view key) const;
};

/// Reads any JSON value as a pod. Time and memory are proportional to its size.
Pod read(json::Value object);

/// Whether its containers give it the QoS class Guaranteed, by the rules of Kubernetes
/// (pkg/apis/core/v1/helper/qos).
bool is_guaranteed(const Pod& pod);

}  // namespace sidetap::pods
