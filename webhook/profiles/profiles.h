// The profiles of a configuration, as the registry tells them to taps. Immutable, and shared by all
// threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "shared/registry/messages.h"

namespace sidetap::configuration {
struct Configuration;
}

namespace sidetap::webhook::profiles {

/// One profile, encoded once for all its taps.
struct Told {
  sidetap::registry::Settings settings{};
  std::string text{};  ///< `settings` as a message.
};

class Profiles {
 public:
  /// Every profile gets the settings of the default one, but for those that it sets itself.
  /// Variables that the operator sets for every container (sidecar.env) override both, as they do
  /// in a new container.
  explicit Profiles(const configuration::Configuration& configuration);

  /// The settings of a tap in `name_space` whose pod's annotation names the profile `asked` (empty:
  /// none). An unknown profile, or one that pods may not choose, counts as none: then the profile
  /// of the namespace, and last the default. Never null.
  const std::shared_ptr<const Told>& of(std::string_view name_space, std::string_view asked) const;

  std::uint64_t generation() const { return generation_; }
  /// By name; the default profile has the empty name.
  const std::map<std::string, std::shared_ptr<const Told>, std::less<>>& all() const {
    return all_;
  }

 private:
  std::uint64_t generation_ = 0;
  bool pods_may_choose_ = false;
  std::map<std::string, std::shared_ptr<const Told>, std::less<>> all_;
  std::map<std::string, std::string, std::less<>> of_namespace_;  ///< The profile's name.
};

}  // namespace sidetap::webhook::profiles
