// The JSON Patch (RFC 6902) that makes a pod a tapped pod: operations `add` only, on the pod's raw
// JSON, so that what the webhook does not know stays as it is.
#pragma once

#include <cstddef>
#include <string>

#include "webhook/configuration/configuration.h"
#include "webhook/injection/settings.h"
#include "webhook/pods/pod.h"

namespace sidetap::injection {

/// The pod has no fault.
std::string inject_patch(const pods::Pod& pod, const Settings& settings,
                         const configuration::Configuration& configuration);

/// Puts back the restartPolicy of the sidecar, init container number `index`.
std::string restore_patch(std::size_t index);

}  // namespace sidetap::injection
