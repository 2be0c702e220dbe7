// Whether a pod is injected.
//
// Precedence: the pod declines > its namespace is disabled > the pod asks > its namespace is
// enabled > no. Then the cases in which a pod is never injected, whoever asks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "webhook/admission/reason.h"
#include "webhook/configuration/configuration.h"
#include "webhook/json/tree.h"

namespace sidetap::admission {

/// Label of a namespace (enabled, disabled), annotation or label of a pod ("true", "false").
inline constexpr std::string_view kInjectKey = "sidetap.io/inject";
/// Annotation that says what was injected.
inline constexpr std::string_view kStatusKey = "sidetap.io/status";
/// Audience of the tap's token, and the prefix of what a pod may override.
inline constexpr std::string_view kAnnotationPrefix = "sidetap.io/";

struct Verdict {
  Decision decision = Decision::kSkip;
  Reason reason = Reason::kNotRequested;
  std::string warning = {};  ///< For the user, when they asked in vain; else empty.
};

/// In which form the pod would get the sidecar.
enum class Form : bool { kContainer, kNative };

/// `namespace_name` is the request's. `form` counts for pods of Jobs only.
Verdict decide(Value pod, std::string_view namespace_name, Rule rule, Form form,
               const configuration::Configuration& configuration);

/// The index of the sidecar among the pod's init containers; nothing when it is not there.
std::optional<std::size_t> find_native_sidecar(Value pod, std::string_view name);

}  // namespace sidetap::admission
