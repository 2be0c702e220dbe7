// Builds the JSON Patch (RFC 6902) that adds the tap to a pod. It consists only of `add` operations
// on the pod's raw JSON, so that fields unknown to the webhook do not change.
#pragma once

#include <cstddef>
#include <string>

#include "webhook/configuration/configuration.h"
#include "webhook/injection/settings.h"
#include "webhook/pods/pod.h"

namespace sidetap::injection {

/// `pod` must have no fault.
std::string inject_patch(const pods::Pod& pod, const Settings& settings,
                         const configuration::Configuration& configuration);

/// Restores the restartPolicy of the sidecar, the init container at `index`.
std::string restore_patch(std::size_t index);

}  // namespace sidetap::injection
