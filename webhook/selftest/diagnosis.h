// Interprets the API server's answer to a trial pod: whether the API server reaches the webhook,
// and if not, what is missing. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "shared/kube/client.h"

namespace sidetap::selftest {

/// How the webhook is installed, for the advice.
struct Setting {
  std::string pod_namespace;       ///< Where the trial pod would run.
  std::uint16_t webhook_port = 0;  ///< The container's port, which the control plane must reach.
  std::chrono::milliseconds patience{};  ///< timeoutSeconds of the webhook configuration.
  std::string webhook_namespace{};       ///< Of the webhook's Service. Empty: unknown.
  std::string webhook_service{};
};

struct Diagnosis {
  bool injected = false;
  bool may_settle = false;  ///< May be temporary right after an installation: ask again.
  std::string text;         ///< One or more lines for the operator.
};

/// A pod that asks for a tap with an annotation. Every Pod Security level accepts it without a tap.
nlohmann::json trial_pod();

/// `answer` is the answer to the creation of trial_pod() with dryRun=All, which took `taken`.
Diagnosis diagnose(const kube::Response& answer, std::chrono::milliseconds taken,
                   const Setting& setting);

/// `slices` are the EndpointSlices of the webhook's Service. Returns a diagnosis if no pod of the
/// webhook is ready: then neither a firewall nor a certificate is the cause. Returns nothing if one
/// is ready, or if the answer does not say.
std::optional<Diagnosis> diagnose_endpoints(const kube::Response& slices, const Setting& setting);

}  // namespace sidetap::selftest
