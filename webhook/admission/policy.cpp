#include "webhook/admission/policy.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "webhook/injection/settings.h"
#include "webhook/pods/pod.h"
#include "webhook/pods/warning.h"

namespace sidetap::admission {
namespace {

using configuration::Configuration;
using configuration::LabelCondition;
using configuration::LabelSelector;
using injection::Form;
using pods::in_quotes;
using pods::Pod;
using pods::warning;

Verdict refuse(Reason reason, std::string_view why) {
  return {.reason = reason, .warning = warning("not injected: " + std::string(why))};
}

/// Decides from the pod's own value.
Verdict opt_in(std::string_view said, Entry called) {
  if (said == "false") return {.reason = Reason::kPodOptOut};
  if (called == Entry::kDisabled) return {.reason = Reason::kNamespaceDisabled};
  if (said == "true") return {.action = Action::kInject, .reason = Reason::kPodOptIn};
  return refuse(Reason::kBadValue,
                "sidetap.io/inject is " + in_quotes(said) + R"(; accepted are "true" and "false")");
}

/// Decides who asks for injection, or declines it.
Verdict opt_in(const Pod& pod, Entry called) {
  if (pod.inject) return opt_in(*pod.inject, called);
  switch (called) {
    case Entry::kNamespace:
      return {.action = Action::kInject, .reason = Reason::kNamespaceEnabled};
    case Entry::kDisabled:
      return {.reason = Reason::kNamespaceDisabled};
    case Entry::kPod:
    case Entry::kEphemeral:
    case Entry::kEphemeralDisabled:
      break;
  }
  return {.reason = Reason::kNotRequested};
}

bool is_protected(std::string_view namespace_name, const Configuration& configuration) {
  constexpr std::array<std::string_view, 3> kClusters = {"kube-system", "kube-public",
                                                         "kube-node-lease"};
  const auto& injection = configuration.injection;
  const auto is_it = [&](std::string_view name) { return name == namespace_name; };
  return std::any_of(kClusters.begin(), kClusters.end(), is_it) ||
         (!namespace_name.empty() && namespace_name == injection.own_namespace) ||
         std::any_of(injection.excluded_namespaces.begin(), injection.excluded_namespaces.end(),
                     is_it);
}

bool holds(const LabelCondition& condition, const Pod& pod) {
  const auto label = pod.label(condition.key);
  const bool listed = label && std::find(condition.values.begin(), condition.values.end(),
                                         *label) != condition.values.end();
  switch (condition.op) {
    case LabelCondition::Operator::kIn:
      return listed;
    case LabelCondition::Operator::kNotIn:
      return !listed;
    case LabelCondition::Operator::kExists:
      return label.has_value();
    case LabelCondition::Operator::kDoesNotExist:
      break;
  }
  return !label;
}

bool is_excluded(const Pod& pod, const Configuration& configuration) {
  const auto& excluded = configuration.injection.excluded_pods;
  return std::any_of(excluded.begin(), excluded.end(), [&](const LabelSelector& selector) {
    return std::all_of(selector.begin(), selector.end(),
                       [&](const LabelCondition& one) { return holds(one, pod); });
  });
}

/// The index of the sidecar in a list; the list's size if there is none.
std::size_t index_of(std::string_view name, std::span<const pods::Container> list) {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.name == name; });
  return static_cast<std::size_t>(found - list.begin());
}

/// Nothing if the pod has neither a sidecar nor a trace of one.
std::optional<Verdict> judge_existing(const Pod& pod, const std::string& name) {
  const std::size_t index = index_of(name, pod.init_containers());
  const bool native = index < pod.init_containers().size();
  const bool there = native || index_of(name, pod.containers()) < pod.containers().size();
  if (!pod.has_status && !there) return std::nullopt;
  if (!there)
    return refuse(Reason::kAlreadyInjected,
                  "the pod has the annotation sidetap.io/status but no sidecar; remove it");
  if (!pod.has_status)
    return refuse(Reason::kNameTaken,
                  "the pod has a container named " + in_quotes(name) + " already");
  if (native && !pod.init_containers()[index].has_restart_policy)
    return Verdict{
        .action = Action::kRestore, .reason = Reason::kRestartPolicyRemoved, .sidecar = index};
  return Verdict{.reason = Reason::kAlreadyInjected};
}

/// Why a pod is not injected although somebody asks for it. Nothing: no objection.
std::optional<Verdict> objection(const Pod& pod, std::string_view namespace_name,
                                 const Configuration& configuration) {
  if (const auto unfit = unfitness(pod, namespace_name, configuration))
    return refuse(unfit->reason, unfit->why);
  if (auto existing = judge_existing(pod, configuration.sidecar.name)) return existing;
  if (pod.of_job && !configuration.injection.force_jobs &&
      injection::form_of(pod, configuration) == Form::kContainer)
    return refuse(Reason::kJobWithoutNative,
                  "as a plain container the sidecar would keep the Job from finishing");
  if (!injection::has_sensor(pod, namespace_name, configuration))
    return refuse(Reason::kNoSensor, "no sensor is configured");
  return std::nullopt;
}

}  // namespace

std::optional<Unfitness> unfitness(const Pod& pod, std::string_view namespace_name,
                                   const Configuration& configuration) {
  if (!pod.fault.empty()) return Unfitness{Reason::kUnusablePod, std::string(pod.fault)};
  if (is_protected(namespace_name, configuration))
    return Unfitness{Reason::kProtectedNamespace,
                     "the namespace " + in_quotes(namespace_name) + " is excluded"};
  if (pod.mirror)
    return Unfitness{Reason::kMirrorPod, "a mirror pod only shows what its node runs from a file"};
  if (pod.platform.kept_from_linux)
    return Unfitness{Reason::kWindowsPod, "the sidecar needs Linux"};
  if (pod.host_network)
    return Unfitness{Reason::kHostNetwork,
                     "the pod shares the node's network; a tap would capture the whole node"};
  if (is_excluded(pod, configuration))
    return Unfitness{Reason::kExcludedPod, "the operator excludes pods with these labels"};
  return std::nullopt;
}

bool has_container(const Pod& pod, std::string_view name) {
  return index_of(name, pod.all_containers) < pod.all_containers.size();
}

Verdict decide(const Review& review, Entry called, const Configuration& configuration) {
  if (!review.creates_pod) return {.reason = Reason::kNotPodCreation};
  if (!review.pod) return refuse(Reason::kUnusablePod, "the review holds no pod");
  Verdict asked = opt_in(*review.pod, called);
  if (asked.action != Action::kInject) return asked;
  auto refused = objection(*review.pod, review.namespace_name, configuration);
  return refused ? *std::move(refused) : std::move(asked);
}

}  // namespace sidetap::admission
