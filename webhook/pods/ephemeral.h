// The ephemeral containers of a pod, as far as a tap for a running pod depends on them. Pure.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "webhook/json/tree.h"

namespace sidetap::pods {

/// More than any pod has. The API server has no limit of its own but the size of the object.
inline constexpr std::size_t kMostEphemeral = 1'000;

/// All texts are valid as long as the document.
struct Ephemeral {
  std::vector<std::string_view>
      names{};  ///< In the order of the pod's list; at most kMostEphemeral.
  std::vector<std::string_view> ended{};  ///< Those of which the pod's status says that they ended.
  bool too_many = false;
};

/// Reads any JSON value as a pod.
Ephemeral read_ephemeral(json::Value object);

/// Whether an ephemeral container of this name is a tap: `tap` itself, or with a number behind it
/// ("sidetap-2"), since a name cannot be used again in the same pod.
bool is_tap_name(std::string_view name, std::string_view tap);

}  // namespace sidetap::pods
