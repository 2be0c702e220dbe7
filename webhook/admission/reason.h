// What becomes of a review, and why. The names are labels of metrics ("rule", "decision",
// "reason"), words of the log and of audit annotations: a bounded set.
#pragma once

#include <cstdint>
#include <string_view>

namespace sidetap::admission {

/// Which webhook entry called, that is, what the pod's namespace says.
enum class Entry : std::uint8_t {
  kNamespace,  ///< The namespace is labelled sidetap.io/inject=enabled.
  kPod,        ///< The namespace has no such label; the pod may ask.
  kDisabled,   ///< The namespace is labelled disabled: no entry calls. For offline use.
};

enum class Action : std::uint8_t {
  kInject,   ///< The patch adds the sidecar.
  kRestore,  ///< The patch repairs a sidecar that another webhook has damaged.
  kSkip,     ///< Allowed unchanged.
  kReject,   ///< No AdmissionReview: HTTP 400.
};
inline constexpr unsigned kActionCount = static_cast<unsigned>(Action::kReject) + 1;

enum class Reason : std::uint8_t {
  kPodOptIn,              ///< The pod asks for injection.
  kNamespaceEnabled,      ///< Its namespace does.
  kRestartPolicyRemoved,  ///< The native sidecar has lost its restartPolicy.
  kPodOptOut,             ///< The pod declines.
  kNamespaceDisabled,     ///< Its namespace does, and has the last word over a pod that asks.
  kNotRequested,          ///< Nobody asks.
  kBadValue,              ///< The pod's sidetap.io/inject is neither "true" nor "false".
  kNotPodCreation,        ///< Another operation, kind or subresource.
  kUnusablePod,           ///< No pod that could run.
  kAlreadyInjected,       ///< The sidecar is there.
  kNameTaken,             ///< Another container bears the sidecar's name.
  kMirrorPod,             ///< A static pod's image in the API.
  kWindowsPod,
  kHostNetwork,         ///< The tap would capture the node.
  kProtectedNamespace,  ///< kube-system and its like, the webhook's own.
  kExcludedPod,         ///< By the operator's selector.
  kJobWithoutNative,    ///< A plain container keeps a Job from finishing.
  kNoSensor,            ///< Neither the configuration nor the pod names one.
  kBadReview,           ///< What came is no AdmissionReview.
};
inline constexpr unsigned kReasonCount = static_cast<unsigned>(Reason::kBadReview) + 1;

/// "namespace", "pod", "disabled"; static strings, here and below.
std::string_view entry_name(Entry entry);
/// "inject", "restore", "skip", "reject".
std::string_view action_name(Action action);
/// "pod-opt-in" and the like.
std::string_view reason_name(Reason reason);
/// One sentence for an operator.
std::string_view reason_text(Reason reason);

}  // namespace sidetap::admission
