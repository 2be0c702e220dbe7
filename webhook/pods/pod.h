// A pod as far as a review depends on it, read from its JSON in one pass. Policy, settings and
// patch ask this and no JSON: what is not here has no influence on injection. Pure.
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
  std::string_view value;  ///< Empty where it is no text.
};

/// What controls the pod; for the log.
struct Owner {
  std::string_view kind;
  std::string_view name;
};

/// What a container asks of one resource, in its base unit (CPUs, bytes). Nothing: not given. Zero
/// where it is no quantity.
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
  bool there = false;  ///< The pod has the list, if only an empty one.
  std::vector<std::string_view> all;
};

/// All texts lie in the document that the pod was read from. What is missing, null or of another
/// kind than it should be reads as missing.
struct Pod {
  /// What keeps a patch from being applied; empty: nothing.
  std::string_view fault;

  // Who asks, and for whom.
  /// What the annotation, or else the label, kInjectKey says; "no text" where it is none.
  std::optional<std::string_view> inject;
  /// The other annotations with our prefix, but for the status; in order.
  std::vector<Annotation> overrides;
  std::optional<json::Value> labels;  ///< An operator's selectors may name any: see label().
  std::optional<Owner> owner;
  std::string_view name;  ///< Or generateName, where there is none.
  bool of_job = false;

  // Where it runs, and how long.
  Platform platform;
  bool mirror = false;  ///< It shows what a node runs from a file.
  bool host_network = false;
  bool ends = false;  ///< Its containers are not all restarted for ever.

  // What it consists of.
  /// The application's containers, then the init containers.
  std::vector<Container> all_containers;
  std::size_t application_count = 0;
  bool has_init_containers = false;  ///< The list is there, if only an empty one.
  std::vector<std::int64_t> ports;   ///< Of all containers, ascending.
  bool bounds_cpu = false;           ///< The pod as a whole has a request or a limit.
  bool bounds_memory = false;
  Names volumes;
  Names image_pull_secrets;
  bool mounts_api_token = true;

  // What stands where a patch writes.
  bool has_metadata = false;
  bool has_annotations = false;
  bool has_status = false;  ///< The annotation kStatusKey.
  std::string_view safe_to_evict;

  std::span<const Container> containers() const {
    return std::span(all_containers).first(application_count);
  }
  std::span<const Container> init_containers() const {
    return std::span(all_containers).subspan(application_count);
  }
  /// Nothing: there is none, or its value is no text.
  std::optional<std::string_view> label(std::string_view key) const;
};

/// Takes whatever stands in a review for a pod. Time and memory are proportional to its size.
Pod read(json::Value object);

/// Would it be of QoS class Guaranteed by its containers? As Kubernetes decides
/// (pkg/apis/core/v1/helper/qos).
bool is_guaranteed(const Pod& pod);

}  // namespace sidetap::pods
