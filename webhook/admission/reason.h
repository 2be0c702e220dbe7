// The outcome of a review and its reason. The names are a bounded set: they appear as metric labels
// ("rule", "decision", "reason"), in the log and in audit annotations.
#pragma once

#include <cstdint>
#include <string_view>

namespace sidetap::admission {

/// The webhook entry that calls, which follows from the label of the pod's namespace.
enum class Entry : std::uint8_t {
  kNamespace,          ///< The namespace is labelled sidetap.io/inject=enabled.
  kPod,                ///< The namespace has no such label. The pod may ask.
  kDisabled,           ///< The namespace is labelled disabled: no entry calls. For offline use.
  kEphemeral,          ///< A container of the tap's name is added to a pod that runs.
  kEphemeralDisabled,  ///< The same in a namespace that is labelled disabled.
};

inline constexpr unsigned kEntryCount = static_cast<unsigned>(Entry::kEphemeralDisabled) + 1;

enum class Action : std::uint8_t {
  kInject,   ///< The patch adds the sidecar.
  kRestore,  ///< The patch repairs a sidecar that another webhook damaged.
  kSkip,     ///< Allowed unchanged.
  kDeny,     ///< Not allowed: only for what is added to a pod that runs.
  kReject,   ///< Not an AdmissionReview: HTTP 400.
};
inline constexpr unsigned kActionCount = static_cast<unsigned>(Action::kReject) + 1;

enum class Reason : std::uint8_t {
  kPodOptIn,              ///< The pod opts in.
  kNamespaceEnabled,      ///< Its namespace is enabled.
  kTapAsked,              ///< Somebody adds a tap to a pod that runs.
  kRestartPolicyRemoved,  ///< The native sidecar has lost its restartPolicy.
  kPodOptOut,             ///< The pod opts out.
  kNamespaceDisabled,     ///< Its namespace is disabled, which overrides a pod that opts in.
  kNotRequested,          ///< Neither opts in.
  kBadValue,              ///< The pod's sidetap.io/inject is neither "true" nor "false".
  kNotPodCreation,        ///< Another operation, kind or subresource than the entry is for.
  kUnusablePod,           ///< A pod that could not run.
  kAlreadyInjected,       ///< The pod has the sidecar, or a tap that was added while it ran.
  kNameTaken,             ///< Another container has the sidecar's name.
  kMirrorPod,             ///< The API's mirror of a static pod.
  kWindowsPod,
  kHostNetwork,         ///< The tap would capture the node.
  kProtectedNamespace,  ///< kube-system and the like, or the webhook's own.
  kExcludedPod,         ///< Excluded by the operator's selector.
  kJobWithoutNative,    ///< A plain container would keep a Job from finishing.
  kNoSensor,            ///< Neither the configuration nor the pod names one.
  kBadReview,           ///< The input is not an AdmissionReview.
};
inline constexpr unsigned kReasonCount = static_cast<unsigned>(Reason::kBadReview) + 1;

/// "namespace", "pod", "disabled", "ephemeral", "ephemeral-disabled". This and the functions below
/// return static strings.
std::string_view entry_name(Entry entry);
/// "inject", "restore", "skip", "deny", "reject".
std::string_view action_name(Action action);
/// "pod-opt-in" and the like.
std::string_view reason_name(Reason reason);
/// One sentence for an operator.
std::string_view reason_text(Reason reason);

}  // namespace sidetap::admission
