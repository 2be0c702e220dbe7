// Pods after injection.
#pragma once

#include "support/review_builder.h"

namespace sidetap::test {

inline Json patched(const Json& before, const configuration::Configuration& configuration) {
  const admission::Answer outcome =
      admit(review_of(before).dump(), admission::Entry::kNamespace, configuration);
  return outcome.patch.empty() ? before : before.patch(Json::parse(outcome.patch));
}
inline Json patched(const PodBuilder& before,
                    const configuration::Configuration& configuration = test_configuration()) {
  return patched(before.json(), configuration);
}

/// The sidecar of a patched pod, in either list.
inline Json sidecar(const Json& pod) {
  for (const char* list : {"initContainers", "containers"})
    if (pod["spec"].contains(list))
      for (const Json& one : pod["spec"][list])
        if (one["name"] == "sidetap") return one;
  return nullptr;
}
inline Json sidecar(const PodBuilder& before,
                    const configuration::Configuration& configuration = test_configuration()) {
  return sidecar(patched(before, configuration));
}

}  // namespace sidetap::test
