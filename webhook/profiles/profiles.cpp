#include "webhook/profiles/profiles.h"

#include <cstddef>
#include <utility>

#include "shared/registry/codec.h"
#include "shared/tap/settings.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::webhook::profiles {
namespace {

using configuration::Configuration;
using configuration::Profile;
using sidetap::registry::Settings;

constexpr std::size_t controlled_settings() {
  std::size_t count = 0;
  for (const tap::Setting& setting : tap::kSettings) count += setting.control.empty() ? 0 : 1;
  return count;
}
static_assert(controlled_settings() <= sidetap::registry::kMostSettings);
static_assert(tap::kMostControlledBytes <= sidetap::registry::kMostSettingBytes);

/// As in the environment of a new container; the tap's own default is told as it is.
std::string variable_of(const tap::Setting& setting, const Profile* profile,
                        const Configuration& configuration) {
  const auto operators = configuration.sidecar.env.find(setting.option.env);
  if (operators != configuration.sidecar.env.end()) return operators->second;
  const std::string& value = configuration::value_of(setting, profile, configuration);
  return std::string(setting.before).append(value);
}

std::shared_ptr<const Told> told(std::string name, const Profile* profile,
                                 const Configuration& configuration) {
  Settings settings{.generation = configuration.generation, .profile = std::move(name)};
  for (const tap::Setting& setting : tap::kSettings) {
    if (setting.control.empty()) continue;
    settings.values[std::string(setting.option.env)] = variable_of(setting, profile, configuration);
  }
  std::string text = encode(settings);
  return std::make_shared<const Told>(Told{std::move(settings), std::move(text)});
}

}  // namespace

Profiles::Profiles(const Configuration& configuration)
    : generation_(configuration.generation),
      pods_may_choose_(configuration.sidecar.overrides.test(
          static_cast<std::size_t>(configuration::Override::kProfile))) {
  all_.emplace("", told("", nullptr, configuration));
  for (const auto& [name, profile] : configuration.profiles) {
    all_.emplace(name, told(name, &profile, configuration));
    for (const std::string& one : profile.namespaces) of_namespace_.emplace(one, name);
  }
}

const std::shared_ptr<const Told>& Profiles::of(std::string_view name_space,
                                                std::string_view asked) const {
  if (pods_may_choose_) {
    const auto found = all_.find(asked);
    if (found != all_.end() && !asked.empty()) return found->second;
  }
  const auto named = of_namespace_.find(name_space);
  const std::string_view name =
      named == of_namespace_.end() ? std::string_view() : std::string_view(named->second);
  return all_.find(name)->second;
}

}  // namespace sidetap::webhook::profiles
