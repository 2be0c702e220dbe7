// On which operating systems a pod may run, as far as its spec says so.
#pragma once

#include <optional>

#include "webhook/json/tree.h"

namespace sidetap::pods {

struct Platform {
  bool kept_from_linux = false;     ///< No Linux node takes the pod.
  bool offered_to_windows = false;  ///< A term of the required node affinity asks for Windows.
};

/// What of a pod's spec bears on it.
struct PlatformHints {
  std::optional<json::Value> os;
  std::optional<json::Value> node_selector;
  std::optional<json::Value> affinity;
  bool windows_options = false;  ///< The pod or one of its containers has options for Windows.
};

/// `os` has the first word, then the node selector and the required node affinity, by the labels
/// that kubelets give their nodes (kubernetes.io/os, its beta name, and
/// node.kubernetes.io/windows-build), then the presence of Windows options. Terms of an affinity
/// are alternatives: one that Linux nodes may fulfil is enough.
Platform platform_of(const PlatformHints& hints);

/// `security_context`: of a pod or of a container.
bool has_windows_options(const std::optional<json::Value>& security_context);

}  // namespace sidetap::pods
