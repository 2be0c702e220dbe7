// Builds what the webhook does from the text of a configuration.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "shared/result.h"
#include "webhook/profiles/profiles.h"
#include "webhook/serve/review_service.h"

namespace sidetap::webhook {

/// What comes into force with a configuration.
struct InForce {
  ReviewFunction review{};
  std::shared_ptr<const profiles::Profiles> profiles{};  ///< What the registry tells to taps.
};

/// Builds it from the text of a configuration file, or from the built-in defaults without one.
/// `registry_ca`, if not empty, is the CA of the registry for taps unless the configuration names
/// one. Errors name the fault in the text.
using ReviewFactory = std::function<Result<InForce>(const std::optional<std::string>& configuration,
                                                    const std::string& registry_ca)>;

/// `own_namespace` is the webhook's namespace, whose pods are never injected, if the configuration
/// does not name it. `ca_to_come`: the registry's CA is still missing, but arrives before the first
/// review.
ReviewFactory review_factory(std::string own_namespace, bool ca_to_come);

}  // namespace sidetap::webhook
