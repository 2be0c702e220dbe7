#include "webhook/offline/remedies.h"

namespace sidetap::offline {
namespace {

using admission::Reason;
using configuration::Configuration;

std::string to_be_asked_about(const std::string& namespace_name,
                              const Configuration& configuration) {
  return "the label sidetap.io/inject=enabled on namespace " + namespace_name + ", or the " +
         (sees_annotations(configuration) ? "annotation" : "label") +
         " sidetap.io/inject: \"true\" on the pod";
}

}  // namespace

std::string remedy(const admission::Answer& answer, const std::string& namespace_name,
                   const Configuration& configuration) {
  switch (answer.reason) {
    case Reason::kNotRequested:
      return to_be_asked_about(namespace_name, configuration);
    case Reason::kPodOptOut:
      return "no annotation or label sidetap.io/inject: \"false\" on the pod, but \"true\" where "
             "the namespace is not enabled";
    case Reason::kNamespaceDisabled:
      return "the label sidetap.io/inject=enabled on namespace " + namespace_name +
             ", or no such label there";
    case Reason::kBadValue:
      return "sidetap.io/inject: \"true\" or \"false\" on the pod";
    case Reason::kAlreadyInjected:
      return answer.warnings.empty() ? "" : "no annotation sidetap.io/status on the pod";
    case Reason::kNameTaken:
      return "another name for the pod's container, or another sidecar.name in the configuration";
    case Reason::kJobWithoutNative:
      return "sidecar.native: always in the configuration when all kubelets are 1.29 or newer, or "
             "injection.forceJobs: true";
    case Reason::kNoSensor:
      return "sensor.address in the configuration (--config), or the annotation sidetap.io/sensor";
    case Reason::kExcludedPod:
      return "other labels on the pod, or another injection.excludedPods in the configuration";
    case Reason::kProtectedNamespace:
      return "another namespace for the pod";
    case Reason::kHostNetwork:
      return "hostNetwork: false on the pod, if it can do without";
    default:
      return "";
  }
}

Silence silence(Unasked unasked, const Labels& labels, const std::string& namespace_name,
                const Configuration& configuration) {
  if (unasked == Unasked::kAnnotation)
    return {"before server 1.28 the API server sees no annotation, only a label",
            to_be_asked_about(namespace_name, configuration)};
  const std::string level = labels.at(std::string(kPodSecurityLevel));
  if (level == "baseline")
    return {
        "the namespace enforces Pod Security level baseline, which refuses NET_RAW: the pod "
        "starts without a tap",
        "sidecar.capabilities: runtimeDefault in the configuration"};
  return {"the namespace enforces Pod Security level " + level +
              ", where no container may capture packets: the pod starts without a tap",
          "another namespace for the pod"};
}

}  // namespace sidetap::offline
