// Keys of the labels and annotations that the webhook uses.
#pragma once

#include <string_view>

namespace sidetap::pods {

/// Label of a namespace (enabled, disabled), annotation or label of a pod ("true", "false").
inline constexpr std::string_view kInjectKey = "sidetap.io/inject";
/// Annotation that records what was injected.
inline constexpr std::string_view kStatusKey = "sidetap.io/status";
/// Prefix of the webhook's annotations.
inline constexpr std::string_view kAnnotationPrefix = "sidetap.io/";
/// Annotations by which a mesh says that it has injected its proxy, or takes over the pod's
/// traffic.
inline constexpr std::string_view kIstioKey = "sidecar.istio.io/status";
inline constexpr std::string_view kAmbientKey = "ambient.istio.io/redirection";
inline constexpr std::string_view kLinkerdKey = "linkerd.io/proxy-version";
/// Annotation that names volumes that do not prevent the cluster autoscaler from removing a node.
inline constexpr std::string_view kSafeToEvictKey =
    "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";

}  // namespace sidetap::pods
