// Builds the JSON Patch (RFC 6902) that adds the tap to a pod. For a new pod it consists only of
// `add` operations on the pod's raw JSON, so that fields unknown to the webhook do not change.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "webhook/configuration/configuration.h"
#include "webhook/injection/settings.h"
#include "webhook/pods/pod.h"

namespace sidetap::injection {

/// `pod` must have no fault.
std::string inject_patch(const pods::Pod& pod, const Settings& settings,
                         const configuration::Configuration& configuration);

/// Restores the restartPolicy of the sidecar, the init container at `index`.
std::string restore_patch(std::size_t index);

/// Fills in the ephemeral container at `index` of the list, which keeps nothing but its name. `pod`
/// is the one that runs. Appends a line to `warnings` if the tap's image may not be within reach.
std::string ephemeral_patch(std::string_view name, std::size_t index, const pods::Pod& pod,
                            const Settings& settings,
                            const configuration::Configuration& configuration,
                            std::vector<std::string>& warnings);

}  // namespace sidetap::injection
