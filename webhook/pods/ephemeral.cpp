#include "webhook/pods/ephemeral.h"

#include <algorithm>

namespace sidetap::pods {

Ephemeral read_ephemeral(json::Value object) {
  Ephemeral found;
  const auto containers = json::find(json::find(object, "spec"), "ephemeralContainers");
  found.too_many = json::size_of(containers) > kMostEphemeral;
  if (found.too_many) return found;
  json::each_element(containers,
                     [&](json::Value one) { found.names.push_back(json::text_of(one, "name")); });
  const auto statuses = json::find(json::find(object, "status"), "ephemeralContainerStatuses");
  if (json::size_of(statuses) > kMostEphemeral) return found;
  json::each_element(statuses, [&](json::Value one) {
    if (json::find(json::find(one, "state"), "terminated"))
      found.ended.push_back(json::text_of(one, "name"));
  });
  return found;
}

bool is_tap_name(std::string_view name, std::string_view tap) {
  if (!name.starts_with(tap)) return false;
  name.remove_prefix(tap.size());
  if (name.empty()) return true;
  if (name.size() < 2 || name.front() != '-') return false;
  name.remove_prefix(1);
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace sidetap::pods
