// Decides whether a pod is injected.
//
// Precedence: the pod declines > its namespace is disabled > the pod asks > its namespace is
// enabled > no. After that come the cases in which a pod is never injected, whoever asks.
#pragma once

#include <cstddef>
#include <string>

#include "webhook/admission/reason.h"
#include "webhook/admission/review.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::admission {

struct Verdict {
  Action action = Action::kSkip;
  Reason reason = Reason::kNotRequested;
  std::string warning = {};  ///< For a user whose request is not granted. Otherwise empty.
  std::size_t sidecar = 0;   ///< For kRestore: index of the init container.
};

/// If the action is kInject, the review has a pod without a fault.
Verdict decide(const Review& review, Entry called,
               const configuration::Configuration& configuration);

}  // namespace sidetap::admission
