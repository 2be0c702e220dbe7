// What a pod asks of its node, as far as the tap must not disturb it.
#pragma once

#include <string_view>

#include "webhook/json/tree.h"

namespace sidetap::injection {

/// Would the pod be of QoS class Guaranteed by its containers? As Kubernetes decides
/// (pkg/apis/core/v1/helper/qos).
bool is_guaranteed(admission::Value pod);

/// Does the pod as a whole (spec.resources) have a request or a limit for "cpu" or "memory"?
bool has_pod_level(admission::Value pod, std::string_view resource);

}  // namespace sidetap::injection
