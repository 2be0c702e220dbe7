// Keys of labels and annotations that mean something here.
#pragma once

#include <string_view>

namespace sidetap::pods {

/// Label of a namespace (enabled, disabled), annotation or label of a pod ("true", "false").
inline constexpr std::string_view kInjectKey = "sidetap.io/inject";
/// Annotation that says what was injected.
inline constexpr std::string_view kStatusKey = "sidetap.io/status";
/// What the names of our annotations begin with.
inline constexpr std::string_view kAnnotationPrefix = "sidetap.io/";
/// Annotation that names the volumes that do not keep the cluster autoscaler from removing a node.
inline constexpr std::string_view kSafeToEvictKey =
    "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";

}  // namespace sidetap::pods
