#include "webhook/admission/reason.h"

#include <array>

namespace sidetap::admission {
namespace {

struct Words {
  std::string_view name;
  std::string_view text;
};

// In the order of the enumeration.
constexpr std::array<Words, kReasonCount> kReasons = {{
    {"pod-opt-in", "The pod opts in: sidetap.io/inject is \"true\"."},
    {"namespace-enabled", "The namespace is labelled sidetap.io/inject=enabled."},
    {"tap-asked", "Somebody adds a tap to the running pod."},
    {"restart-policy-removed",
     "The sidecar is there, but something removed its restartPolicy. Without it, the pod would "
     "wait for the sidecar forever, so it is put back."},
    {"pod-opt-out", "The pod opts out: sidetap.io/inject is \"false\"."},
    {"namespace-disabled",
     "The namespace is labelled sidetap.io/inject=disabled, which a pod cannot overrule."},
    {"not-requested", "Neither the pod nor its namespace opts in."},
    {"bad-value", "The pod's sidetap.io/inject is neither \"true\" nor \"false\"."},
    {"not-pod-creation", "Only the creation of pods and of taps in running pods is reviewed."},
    {"unusable-pod", "The pod is malformed."},
    {"already-injected", "The pod already has the sidecar."},
    {"name-taken", "Another container of the pod has the sidecar's name."},
    {"mirror-pod", "The node runs a static pod from a file; its object in the API is only a copy."},
    {"windows-pod", "The sidecar is a Linux program."},
    {"host-network", "The pod shares the node's network: the tap would capture the whole node."},
    {"protected-namespace",
     "The namespace is a system namespace, the webhook's own, or in injection.excludedNamespaces."},
    {"excluded-pod", "The operator excludes pods with these labels."},
    {"job-without-native",
     "As a plain container the sidecar would keep the Job from finishing; native sidecars do not."},
    {"no-sensor", "No sensor is configured to send packets to."},
    {"bad-review", "The input is not an AdmissionReview."},
}};

}  // namespace

std::string_view entry_name(Entry entry) {
  switch (entry) {
    case Entry::kNamespace:
      return "namespace";
    case Entry::kPod:
      return "pod";
    case Entry::kEphemeral:
      return "ephemeral";
    case Entry::kEphemeralDisabled:
      return "ephemeral-disabled";
    case Entry::kDisabled:
      break;
  }
  return "disabled";
}

std::string_view action_name(Action action) {
  switch (action) {
    case Action::kInject:
      return "inject";
    case Action::kRestore:
      return "restore";
    case Action::kSkip:
      return "skip";
    case Action::kDeny:
      return "deny";
    case Action::kReject:
      break;
  }
  return "reject";
}

std::string_view reason_name(Reason reason) {
  return kReasons[static_cast<std::size_t>(reason)].name;
}

std::string_view reason_text(Reason reason) {
  return kReasons[static_cast<std::size_t>(reason)].text;
}

}  // namespace sidetap::admission
