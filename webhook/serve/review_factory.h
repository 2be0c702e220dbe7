// From the text of a configuration to the function that decides about reviews.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "shared/result.h"
#include "webhook/serve/review_service.h"

namespace sidetap::webhook {

/// Makes the decision's function from the text of a configuration file; from none: with the
/// built-in defaults. `registry_ca`, where not empty, is whom taps trust as registry unless the
/// configuration says. Errors name the fault in the text.
using ReviewFactory = std::function<Result<ReviewFunction>(
    const std::optional<std::string>& configuration, const std::string& registry_ca)>;

/// Pods of `own_namespace` are left alone where the configuration does not say whose they are.
/// `ca_to_come`: the registry's CA is not there yet, but will be before the first review.
ReviewFactory review_factory(std::string own_namespace, bool ca_to_come);

}  // namespace sidetap::webhook
