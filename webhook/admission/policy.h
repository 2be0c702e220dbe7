// Decides whether a pod is injected.
//
// Precedence: the pod opts out > its namespace is disabled > the pod opts in > its namespace is
// enabled > no. After that come the cases in which a pod is never injected, whoever opts in.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "webhook/admission/reason.h"
#include "webhook/admission/review.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::admission {

struct Verdict {
  Action action = Action::kSkip;
  Reason reason = Reason::kNotRequested;
  std::string warning = {};  ///< For a user whose request is not granted. Otherwise empty.
  std::size_t sidecar = 0;   ///< Index of the init container, or of the ephemeral one.
};

/// Why no tap fits a pod, in whatever form it comes.
struct Unfitness {
  Reason reason = Reason::kUnusablePod;
  std::string why{};
};
/// Nothing: one fits.
std::optional<Unfitness> unfitness(const pods::Pod& pod, std::string_view namespace_name,
                                   const configuration::Configuration& configuration);
/// Whether a container or an init container has this name.
bool has_container(const pods::Pod& pod, std::string_view name);

/// If the action is kInject, the review has a pod without a fault.
Verdict decide(const Review& review, Entry called,
               const configuration::Configuration& configuration);

}  // namespace sidetap::admission
