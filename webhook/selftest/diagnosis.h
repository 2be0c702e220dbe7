// What the API server's answer to a trial pod means: is the webhook reached, and if not, what is
// missing. Pure.
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
  std::string webhook_namespace{};       ///< Of the webhook's Service; empty: not known.
  std::string webhook_service{};
};

struct Diagnosis {
  bool injected = false;
  bool may_settle = false;  ///< Right after an installation it may: ask again.
  std::string text;         ///< One or more lines for the operator.
};

/// A pod that asks for a tap by annotation, and that every Pod Security level lets pass without
/// one.
nlohmann::json trial_pod();

/// `answer`: to the creation of trial_pod() with dryRun=All, which took `taken`.
Diagnosis diagnose(const kube::Response& answer, std::chrono::milliseconds taken,
                   const Setting& setting);

/// `slices`: the EndpointSlices of the webhook's Service. A diagnosis where no pod of the webhook
/// is ready: then neither firewall nor certificate is at fault. Nothing where one is, or where the
/// answer does not say.
std::optional<Diagnosis> diagnose_endpoints(const kube::Response& slices, const Setting& setting);

}  // namespace sidetap::selftest
