// The profiles of a configuration, as the registry tells them to taps. Immutable, and shared by all
// threads.
#pragma once

#include <cstdint>
#include <functional>
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
  /// none), chosen by configuration::profile_name_of() as for a new pod. Never null.
  const std::shared_ptr<const Told>& of(std::string_view name_space, std::string_view asked) const;
  /// The settings of this profile; those of the default if there is none of this name. Never null.
  const std::shared_ptr<const Told>& named(std::string_view name) const;

  std::uint64_t generation() const;

 private:
  std::shared_ptr<const configuration::Configuration> configuration_;  // a copy, by which to choose
  /// By name; the default profile has the empty name.
  std::map<std::string, std::shared_ptr<const Told>, std::less<>> all_;
};

}  // namespace sidetap::webhook::profiles
