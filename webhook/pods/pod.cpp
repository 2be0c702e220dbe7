#include "webhook/pods/pod.h"

#include <algorithm>
#include <cmath>

#include "webhook/configuration/quantity.h"

namespace sidetap::pods {
namespace {

using json::find;
using json::pick;
using json::Value;
using MaybeValue = std::optional<Value>;

bool is_missing_or_array(const MaybeValue& value) { return !value || value->is_array(); }
bool is_missing_or_object(const MaybeValue& value) { return !value || value->is_object(); }

/// The members of `spec` that are used more than once.
struct Lists {
  MaybeValue containers;
  MaybeValue init_containers;
  MaybeValue volumes;
  MaybeValue secrets;
};

/// Far more than any pod that an API server can store. Two bytes of JSON become a container of many
/// times that size, so a review full of them would exhaust the memory.
constexpr std::size_t kMostElements = 65'536;

bool any_too_long(const Lists& lists) {
  const auto too_long = [](const MaybeValue& list) { return json::size_of(list) > kMostElements; };
  return too_long(lists.containers) || too_long(lists.init_containers) || too_long(lists.volumes) ||
         too_long(lists.secrets);
}

std::string_view fault_of_shape(Value object, const MaybeValue& metadata,
                                const MaybeValue& annotations, const Lists& lists) {
  if (!object.is_object()) return "the object is not a pod";
  if (json::size_of(lists.containers) == 0) return "the pod has no spec.containers";
  if (!is_missing_or_object(metadata)) return "metadata is not an object";
  if (!is_missing_or_object(annotations)) return "metadata.annotations is not an object";
  if (!is_missing_or_array(lists.init_containers)) return "spec.initContainers is not a list";
  if (!is_missing_or_array(lists.volumes)) return "spec.volumes is not a list";
  if (!is_missing_or_array(lists.secrets)) return "spec.imagePullSecrets is not a list";
  if (any_too_long(lists)) return "a list in the pod's spec is longer than a pod can have";
  return {};
}

void read_annotations(const MaybeValue& annotations, Pod& pod) {
  pod.has_annotations = annotations.has_value();
  const auto [inject, status, mirror, safe_to_evict] =
      pick(annotations, kInjectKey, kStatusKey, "kubernetes.io/config.mirror", kSafeToEvictKey);
  if (inject) pod.inject = json::as_text(inject).value_or("no text");
  pod.has_status = status.has_value();
  pod.mirror = mirror.has_value();
  pod.safe_to_evict = json::text_or_empty(safe_to_evict);
  const auto [istio, ambient, linkerd] = pick(annotations, kIstioKey, kAmbientKey, kLinkerdKey);
  if (istio) {
    pod.mesh = "istio";
  } else if (linkerd) {
    pod.mesh = "linkerd";
  } else if (json::text_or_empty(ambient) == "enabled") {
    pod.mesh = "ambient";
  }
  json::each_member(annotations, [&](std::string_view key, Value value) {
    if (key.starts_with(kAnnotationPrefix) && key != kInjectKey && key != kStatusKey)
      pod.overrides.push_back({key, json::text_or_empty(value)});
  });
}

void read_labels(const MaybeValue& labels, Pod& pod) {
  pod.labels = labels;
  if (pod.inject) return;
  if (const auto said = find(labels, kInjectKey))
    pod.inject = json::as_text(said).value_or("no text");
}

void read_owners(const MaybeValue& references, Pod& pod) {
  json::each_element(references, [&](Value reference) {
    const auto [kind, name, version, controller, uid] =
        pick(reference, "kind", "name", "apiVersion", "controller", "uid");
    if (!pod.owner || json::is_true(controller))
      pod.owner = {.kind = json::text_or_empty(kind),
                   .name = json::text_or_empty(name),
                   .api_version = json::text_or_empty(version),
                   .uid = json::text_or_empty(uid),
                   .controller = json::is_true(controller)};
    pod.of_job = pod.of_job || (json::text_or_empty(kind) == "Job" &&
                                json::text_or_empty(version).starts_with("batch/"));
  });
}

/// A quantity, written as a string or a number.
std::optional<double> amount_of(const MaybeValue& value) {
  if (!value) return std::nullopt;
  if (const auto text = json::as_text(value))
    return configuration::parse_quantity(*text).value_or(0);
  double number = 0;
  if (value->get(number)) return 0;
  return number;
}

void read_ports(const MaybeValue& list, Pod& pod) {
  json::each_element(list, [&](Value port) {
    std::int64_t number = 0;
    const auto value = find(port, "containerPort");
    if (value && !value->get(number)) pod.ports.push_back(number);
  });
}

/// The amounts in "resources", if given.
struct Amounts {
  MaybeValue cpu_request;
  MaybeValue memory_request;
  MaybeValue cpu_limit;
  MaybeValue memory_limit;
};

Amounts amounts_in(const MaybeValue& resources) {
  const auto [requests, limits] = pick(resources, "requests", "limits");
  const auto [cpu_request, memory_request] = pick(requests, "cpu", "memory");
  const auto [cpu_limit, memory_limit] = pick(limits, "cpu", "memory");
  return {cpu_request, memory_request, cpu_limit, memory_limit};
}

/// Adds the containers of a list. Returns whether one of them has Windows options.
bool read_containers(const MaybeValue& list, Pod& pod) {
  bool windows_options = false;
  json::each_element(list, [&](Value one) {
    const auto [name, restart_policy, ports, resources, security_context] =
        pick(one, "name", "restartPolicy", "ports", "resources", "securityContext");
    const Amounts given = amounts_in(resources);
    pod.all_containers.push_back(
        {.name = json::text_or_empty(name),
         .has_restart_policy = restart_policy.has_value(),
         .cpu = {amount_of(given.cpu_request), amount_of(given.cpu_limit)},
         .memory = {amount_of(given.memory_request), amount_of(given.memory_limit)}});
    read_ports(ports, pod);
    windows_options = windows_options || has_windows_options(security_context);
  });
  return windows_options;
}

Names read_names(const MaybeValue& list) {
  Names names{.there = list.has_value(), .all = {}};
  names.all.reserve(json::size_of(list));
  json::each_element(list, [&](Value one) { names.all.push_back(json::text_of(one, "name")); });
  return names;
}

void read_bounds(const MaybeValue& resources, Pod& pod) {
  const Amounts given = amounts_in(resources);
  pod.bounds_cpu = given.cpu_request || given.cpu_limit;
  pod.bounds_memory = given.memory_request || given.memory_limit;
}

Lists read_spec(const MaybeValue& spec, Pod& pod) {
  const auto [containers, init_containers, volumes, secrets, resources, restart_policy,
              host_network, automount, security_context, os, node_selector, affinity] =
      pick(spec, "containers", "initContainers", "volumes", "imagePullSecrets", "resources",
           "restartPolicy", "hostNetwork", "automountServiceAccountToken", "securityContext", "os",
           "nodeSelector", "affinity");
  const std::string_view policy = json::text_or_empty(restart_policy);
  pod.ends = policy == "Never" || policy == "OnFailure";
  pod.host_network = json::is_true(host_network);
  pod.mounts_api_token = !automount || json::is_true(automount);

  const Lists lists{containers, init_containers, volumes, secrets};
  if (any_too_long(lists)) return lists;  // a fault: nothing else counts
  pod.all_containers.reserve(json::size_of(containers) + json::size_of(init_containers));
  const bool in_containers = read_containers(containers, pod);
  pod.application_count = pod.all_containers.size();
  const bool in_init_containers = read_containers(init_containers, pod);
  pod.has_init_containers = init_containers.has_value();
  std::sort(pod.ports.begin(), pod.ports.end());
  pod.platform = platform_of({.os = os,
                              .node_selector = node_selector,
                              .affinity = affinity,
                              .windows_options = in_containers || in_init_containers ||
                                                 has_windows_options(security_context)});
  read_bounds(resources, pod);
  pod.volumes = read_names(volumes);
  pod.image_pull_secrets = read_names(secrets);
  return lists;
}

struct Sums {
  double requests = 0;
  double limits = 0;
  bool all_limited = true;  ///< Every container has a limit. One of zero counts as none.
};

bool is_guaranteed(const Pod& pod, Demand Container::*resource) {
  Sums sums;
  for (const Container& container : pod.all_containers) {
    const Demand& demand = container.*resource;
    const double limit = demand.limit.value_or(0);
    // The API server sets a missing request to the limit.
    sums.requests += demand.request.value_or(limit);
    sums.limits += limit;
    sums.all_limited = sums.all_limited && limit > 0;
  }
  // Floating-point sums may differ in their last digits.
  return sums.all_limited && std::abs(sums.requests - sums.limits) <= 1e-9 * sums.limits;
}

}  // namespace

std::optional<std::string_view> Pod::label(std::string_view key) const {
  return json::as_text(find(labels, key));
}

Pod read(Value object) {
  Pod pod;
  const auto [metadata, spec] = pick(object, "metadata", "spec");
  const auto [annotations, labels, references, name, generate_name] =
      pick(metadata, "annotations", "labels", "ownerReferences", "name", "generateName");
  pod.has_metadata = metadata.has_value();
  read_annotations(annotations, pod);
  read_labels(labels, pod);
  read_owners(references, pod);
  pod.name = json::text_or_empty(name);
  if (pod.name.empty()) pod.name = json::text_or_empty(generate_name);
  pod.fault = fault_of_shape(object, metadata, annotations, read_spec(spec, pod));
  return pod;
}

bool is_guaranteed(const Pod& pod) {
  return is_guaranteed(pod, &Container::cpu) && is_guaranteed(pod, &Container::memory);
}

}  // namespace sidetap::pods
