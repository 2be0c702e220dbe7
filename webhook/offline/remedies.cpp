#include "webhook/offline/remedies.h"

namespace sidetap::offline {
namespace {

using admission::Reason;
using configuration::Configuration;

std::string to_be_asked_about(const std::string& namespace_name,
                              const Configuration& configuration) {
  return "set the label sidetap.io/inject=enabled on namespace " + namespace_name + ", or the " +
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
      return "remove the annotation or label sidetap.io/inject: \"false\" from the pod; if the "
             "namespace is not enabled, set \"true\" instead";
    case Reason::kNamespaceDisabled:
      return "set the label sidetap.io/inject=enabled on namespace " + namespace_name +
             "; or remove that label, and set sidetap.io/inject: \"true\" on the pod";
    case Reason::kBadValue:
      return "set sidetap.io/inject: \"true\" on the pod";
    case Reason::kAlreadyInjected:
      return answer.warnings.empty() ? "" : "remove the annotation sidetap.io/status from the pod";
    case Reason::kNameTaken:
      return "rename the pod's container, or set another sidecar.name in the configuration";
    case Reason::kJobWithoutNative:
      return "set sidecar.native: always in the configuration if all kubelets are 1.29 or newer; "
             "or set injection.forceJobs: true";
    case Reason::kNoSensor:
      return "set sensor.address in the configuration (--config), or the annotation "
             "sidetap.io/sensor on the pod";
    case Reason::kExcludedPod:
      return "change the pod's labels, or injection.excludedPods in the configuration";
    case Reason::kProtectedNamespace:
      return "create the pod in another namespace";
    case Reason::kHostNetwork:
      return "set hostNetwork: false on the pod, if the pod does not need the node's network";
    default:
      return "";
  }
}

Silence silence(Unasked unasked, const Labels& labels, const std::string& namespace_name,
                const Configuration& configuration) {
  if (unasked == Unasked::kAnnotation)
    return {"before version 1.28, the API server selects pods by labels only, not by annotations",
            to_be_asked_about(namespace_name, configuration)};
  const std::string level = labels.at(std::string(kPodSecurityLevel));
  if (level == "baseline")
    return {
        "the namespace enforces Pod Security level baseline, which refuses NET_RAW: the pod "
        "starts without a tap",
        "set sidecar.capabilities: runtimeDefault in the configuration"};
  return {"the namespace enforces Pod Security level " + level +
              ", where no container may capture packets: the pod starts without a tap",
          "create the pod in another namespace"};
}

}  // namespace sidetap::offline
