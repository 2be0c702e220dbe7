#include "webhook/configuration/configuration.h"

#include <algorithm>

#include "shared/net/text.h"
#include "shared/tap/assigned.h"

namespace sidetap::configuration {
namespace {

constexpr std::array<std::string_view, kOverrideCount> kOverrideNames = {
    "sensor",    "snaplen", "cpu-limit", "memory-limit", "interface",
    "log-level", "image",   "native",    "profile",      "mesh"};

/// Native sidecars are beta, and on by default, from this version on.
constexpr Version kFirstNative{1, 29};
/// Kubelets are at most three minor versions older than their server.
constexpr Version kFirstNativeByItself{1, 32};

}  // namespace

std::string_view override_name(Override item) {
  return kOverrideNames[static_cast<std::size_t>(item)];
}

std::optional<Override> override_of_name(std::string_view name) {
  for (std::size_t i = 0; i < kOverrideCount; ++i)
    if (kOverrideNames[i] == name) return static_cast<Override>(i);
  return std::nullopt;
}

OverrideSet default_overrides() {
  OverrideSet set;
  set.set();
  set.reset(static_cast<std::size_t>(Override::kImage));
  return set;
}

std::string to_string(const tap::ControlSet& controls) {
  if (controls.all()) return "on";
  if (controls.none()) return "off";
  return net::joined(tap::names_of(controls));
}

void take_out(const tap::Setting& setting, tap::ControlSet& controls) {
  const auto found = std::find(tap::kControls.begin(), tap::kControls.end(), setting.control);
  if (found != tap::kControls.end())
    controls.reset(static_cast<std::size_t>(found - tap::kControls.begin()));
}

std::string_view profile_name_of(const Configuration& configuration, std::string_view name_space,
                                 std::string_view asked) {
  const auto& profiles = configuration.profiles;
  const bool may_ask =
      configuration.sidecar.overrides.test(static_cast<std::size_t>(Override::kProfile));
  if (may_ask && !asked.empty()) {
    const auto found = profiles.find(asked);
    if (found != profiles.end()) return found->first;
  }
  for (const auto& [name, profile] : profiles)
    if (profile.namespaces.contains(name_space)) return name;
  return {};
}

const Profile* profile_of(const Configuration& configuration, std::string_view name_space,
                          std::string_view asked) {
  const auto found = configuration.profiles.find(profile_name_of(configuration, name_space, asked));
  return found == configuration.profiles.end() ? nullptr : &found->second;
}

const std::string& value_of(const tap::Setting& setting, const Profile* profile,
                            const Configuration& configuration) {
  if (profile != nullptr)
    for (const auto& [set, value] : profile->values)
      if (set == &setting) return value;
  return configuration.taps[setting];
}

const std::string& sensor_secret_of(const Profile* profile, const Configuration& configuration) {
  const bool has_own = profile != nullptr && profile->sensor_secret;
  return has_own ? *profile->sensor_secret : configuration.sensor_secret;
}

std::uint16_t default_sensor_port(std::string_view output) {
  return output == "vxlan" ? tap::kVxlanPort : tap::kSensorPort;
}

std::optional<Version> parse_version(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  const auto major = net::take_number<unsigned>(text);
  if (!major || !text.starts_with('.')) return std::nullopt;
  text.remove_prefix(1);
  const auto minor = net::take_number<unsigned>(text);
  const bool ends_well = text.empty() || text[0] == '.' || text[0] == '+' || text[0] == '-';
  if (!minor || !ends_well) return std::nullopt;
  return Version{*major, *minor};
}

bool lacks_registry_ca(const Configuration& configuration) {
  return !configuration.registry.address.empty() && configuration.registry.ca.empty() &&
         !configuration.sidecar.env.contains(tap::kRegistryCa.env);
}

bool native_by_default(const Configuration& configuration) {
  switch (configuration.sidecar.native) {
    case Native::kAlways:
      return true;
    case Native::kNever:
      return false;
    case Native::kAuto:
      break;
  }
  return configuration.injection.server_version >= kFirstNativeByItself;
}

bool native_is_impossible(const Configuration& configuration) {
  return configuration.injection.server_version &&
         *configuration.injection.server_version < kFirstNative;
}

}  // namespace sidetap::configuration
