#include "webhook/admission/policy.h"

#include <algorithm>
#include <array>

#include "webhook/admission/platform.h"
#include "webhook/admission/review.h"

namespace sidetap::admission {
namespace {

using configuration::Configuration;
using configuration::LabelCondition;
using configuration::LabelSelector;

/// Who asks, or who declines.
Verdict opt_in(Value pod, Rule rule) {
  const auto metadata = find(pod, "metadata");
  auto said = find(find(metadata, "annotations"), kInjectKey);
  if (!said) said = find(find(metadata, "labels"), kInjectKey);
  if (said) {
    const auto value = as_text(said);
    if (value == "false") return {.reason = Reason::kPodOptOut};
    if (rule == Rule::kDisabled) return {.reason = Reason::kNamespaceDisabled};
    if (value == "true") return {.decision = Decision::kInject, .reason = Reason::kPodOptIn};
    return {.reason = Reason::kBadValue,
            .warning = warning(R"(not injected: sidetap.io/inject is )" +
                               in_quotes(value.value_or("no text")) +
                               R"(; accepted are "true" and "false")")};
  }
  switch (rule) {
    case Rule::kNamespace:
      return {.decision = Decision::kInject, .reason = Reason::kNamespaceEnabled};
    case Rule::kDisabled:
      return {.reason = Reason::kNamespaceDisabled};
    case Rule::kPod:
      break;
  }
  return {.reason = Reason::kNotRequested};
}

Verdict refuse(Reason reason, std::string_view why) {
  return {.reason = reason, .warning = warning("not injected: " + std::string(why))};
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

bool holds(const LabelCondition& condition, const std::optional<Value>& labels) {
  const auto label = as_text(find(labels, condition.key));
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

bool is_excluded(Value pod, const Configuration& configuration) {
  const auto labels = find(find(pod, "metadata"), "labels");
  return std::any_of(
      configuration.injection.excluded_pods.begin(), configuration.injection.excluded_pods.end(),
      [&](const LabelSelector& selector) {
        return std::all_of(selector.begin(), selector.end(),
                           [&](const LabelCondition& one) { return holds(one, labels); });
      });
}

bool is_of_job(Value pod) {
  bool found = false;
  each_element(find(find(pod, "metadata"), "ownerReferences"), [&](Value owner) {
    found = found ||
            (text_of(owner, "kind") == "Job" && text_of(owner, "apiVersion").starts_with("batch/"));
  });
  return found;
}

bool has_container(const std::optional<Value>& list, std::string_view name) {
  bool found = false;
  each_element(list, [&](Value one) { found = found || text_of(one, "name") == name; });
  return found;
}

bool is_missing_or_array(const std::optional<Value>& value) { return !value || value->is_array(); }
bool is_missing_or_object(const std::optional<Value>& value) {
  return !value || value->is_object();
}

/// What keeps a patch from being applied; empty: nothing.
std::string_view fault_of_shape(Value pod) {
  if (!pod.is_object()) return "the object is not a pod";
  const auto spec = find(pod, "spec");
  const auto containers = as_array(find(spec, "containers"));
  if (!containers || containers->size() == 0) return "the pod has no spec.containers";
  const auto metadata = find(pod, "metadata");
  if (!is_missing_or_object(metadata)) return "metadata is not an object";
  if (!is_missing_or_object(find(metadata, "annotations")))
    return "metadata.annotations is not an object";
  if (!is_missing_or_array(find(spec, "initContainers")))
    return "spec.initContainers is not a list";
  if (!is_missing_or_array(find(spec, "volumes"))) return "spec.volumes is not a list";
  if (!is_missing_or_array(find(spec, "imagePullSecrets")))
    return "spec.imagePullSecrets is not a list";
  return {};
}

/// Nothing when the pod has no sidecar and no trace of one.
std::optional<Verdict> judge_existing(Value pod, Value spec, const std::string& name) {
  const bool marked = find(find(find(pod, "metadata"), "annotations"), kStatusKey).has_value();
  const auto native = find_native_sidecar(pod, name);
  const bool there = native || has_container(find(spec, "containers"), name);
  if (!marked && !there) return std::nullopt;
  if (!there)
    return refuse(Reason::kAlreadyInjected,
                  "the pod has the annotation sidetap.io/status but no sidecar; remove it");
  if (!marked)
    return refuse(Reason::kNameTaken,
                  "the pod has a container named " + in_quotes(name) + " already");
  if (native) {
    const Value sidecar = find(spec, "initContainers")->at(*native);
    if (!find(sidecar, "restartPolicy"))
      return Verdict{.decision = Decision::kRestore, .reason = Reason::kRestartPolicyRemoved};
  }
  return Verdict{.reason = Reason::kAlreadyInjected};
}

}  // namespace

std::optional<std::size_t> find_native_sidecar(Value pod, std::string_view name) {
  std::optional<std::size_t> found;
  std::size_t index = 0;
  each_element(find(find(pod, "spec"), "initContainers"), [&](Value one) {
    if (!found && text_of(one, "name") == name) found = index;
    ++index;
  });
  return found;
}

Verdict decide(Value pod, std::string_view namespace_name, Rule rule, Form form,
               const Configuration& configuration) {
  const Verdict asked = opt_in(pod, rule);
  if (asked.decision != Decision::kInject) return asked;

  if (const std::string_view fault = fault_of_shape(pod); !fault.empty())
    return refuse(Reason::kUnusablePod, fault);
  const auto spec = find(pod, "spec");
  if (is_protected(namespace_name, configuration))
    return refuse(Reason::kProtectedNamespace,
                  "the namespace " + in_quotes(namespace_name) + " is excluded");
  if (find(find(find(pod, "metadata"), "annotations"), "kubernetes.io/config.mirror"))
    return refuse(Reason::kMirrorPod, "a mirror pod only shows what its node runs from a file");
  if (is_kept_from_linux(*spec)) return refuse(Reason::kWindowsPod, "the sidecar needs Linux");
  if (is_true(find(spec, "hostNetwork")))
    return refuse(Reason::kHostNetwork,
                  "the pod shares the node's network; a tap would capture the whole node");
  if (is_excluded(pod, configuration))
    return refuse(Reason::kExcludedPod, "the operator excludes pods with these labels");
  if (auto existing = judge_existing(pod, *spec, configuration.sidecar.name)) return *existing;
  if (form == Form::kContainer && !configuration.injection.force_jobs && is_of_job(pod))
    return refuse(Reason::kJobWithoutNative,
                  "as a plain container the sidecar would keep the Job from finishing");
  return asked;
}

}  // namespace sidetap::admission
