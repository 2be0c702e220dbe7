// The operating systems on which a pod may run, as far as its spec says.
#pragma once

#include <optional>

#include "webhook/json/tree.h"

namespace sidetap::pods {

struct Platform {
  bool kept_from_linux = false;     ///< No Linux node accepts the pod.
  bool offered_to_windows = false;  ///< A term of the required node affinity asks for Windows.
};

/// The parts of a pod's spec that decide it.
struct PlatformHints {
  std::optional<json::Value> os;
  std::optional<json::Value> node_selector;
  std::optional<json::Value> affinity;
  bool windows_options = false;  ///< The pod or a container has Windows options.
};

/// `os` takes precedence. The node selector and the required node affinity come next, by the labels
/// that kubelets give their nodes (kubernetes.io/os, its beta name, and
/// node.kubernetes.io/windows-build). Windows options come last. Terms of an affinity are
/// alternatives: one that Linux nodes may match is enough.
Platform platform_of(const PlatformHints& hints);

/// `security_context` is that of a pod or a container.
bool has_windows_options(const std::optional<json::Value>& security_context);

}  // namespace sidetap::pods
