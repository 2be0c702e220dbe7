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
    : configuration_(std::make_shared<const Configuration>(configuration)) {
  all_.emplace("", told("", nullptr, configuration));
  for (const auto& [name, profile] : configuration.profiles)
    all_.emplace(name, told(name, &profile, configuration));
}

const std::shared_ptr<const Told>& Profiles::of(std::string_view name_space,
                                                std::string_view asked) const {
  return named(configuration::profile_name_of(*configuration_, name_space, asked));
}

const std::shared_ptr<const Told>& Profiles::named(std::string_view name) const {
  const auto found = all_.find(name);
  return found != all_.end() ? found->second : all_.find("")->second;
}

std::uint64_t Profiles::generation() const { return configuration_->generation; }

}  // namespace sidetap::webhook::profiles
