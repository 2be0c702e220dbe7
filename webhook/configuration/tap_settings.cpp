#include "webhook/configuration/tap_settings.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <utility>

#include "shared/net/text.h"
#include "shared/tap/assigned.h"
#include "webhook/configuration/values.h"

namespace sidetap::configuration {
namespace {

/// The key of a setting within its section.
std::string_view key_of(const tap::Setting& setting) {
  return setting.key.substr(setting.key.find('.') + 1);
}

/// Whether the setting is a member of this section that is read like the others.
bool is_of(const tap::Setting& setting, std::string_view section) {
  return setting.key.substr(0, setting.key.find('.')) == section && &setting != &tap::kSensor;
}

/// In YAML, off is false.
bool says_off(const tap::Setting& setting, Section& section) {
  const Tree* const value = section.take(key_of(setting));
  return value != nullptr && value->is_boolean() && !value->get<bool>() &&
         tap::check(setting, "off").has_value();
}

void read_setting(const tap::Setting& setting, Section& section, std::string& into) {
  const std::string_view key = key_of(setting);
  const Check check = [&](std::string_view text) { return tap::check(setting, text); };
  switch (setting.form) {
    case tap::Form::kNumber: {
      auto number = net::whole_number<std::uint32_t>(into).value_or(0);
      section.number(key, number, static_cast<std::uint32_t>(setting.least),
                     static_cast<std::uint32_t>(setting.most));
      into = std::to_string(number);
      return;
    }
    case tap::Form::kSwitch: {
      bool on = into == "on";
      section.boolean(key, on);
      into = on ? "on" : "off";
      return;
    }
    case tap::Form::kWord:
      if (!says_off(setting, section)) return section.text(key, into, check);
      into = "off";
      return;
    case tap::Form::kSize:
    case tap::Form::kText:
      return section.text(key, into, check);
    case tap::Form::kTexts:
    case tap::Form::kPrefixes:
      return section.list(key, into, check);
  }
}

/// Refuses TLS with which the taps would end at once.
void check_tls(const Section& section, const Profile* profile, const Configuration& configuration) {
  const std::string& role = value_of(tap::kSensorTls, profile, configuration);
  const std::string& output = value_of(tap::kOutput, profile, configuration);
  if (role != "off" && output != "rpcap")
    section.fail("sidecar.output", output, "rpcap with sensor.tls, which protects RPCAP only");
  if (role == "rpcaps" && sensor_secret_of(profile, configuration).empty() &&
      !configuration.sidecar.env.contains("SENSOR_TLS_CERT"))
    section.fail("sensor.secretName", "\"\"",
                 "a Secret with tls.crt and tls.key, which sensor.tls rpcaps needs");
}

bool sets(const Profile& profile, const tap::Setting& setting) {
  return std::any_of(profile.values.begin(), profile.values.end(),
                     [&](const auto& value) { return value.first == &setting; });
}

/// Reads the settings of the section `name` that a profile may set.
void read_profile_settings(std::string_view name, Section& section, Profile& into) {
  for (const tap::Setting& setting : tap::kSettings) {
    if (!is_of(setting, name) || setting.control.empty()) continue;
    if (section.take(key_of(setting)) == nullptr) continue;
    std::string value(setting.initial);
    read_setting(setting, section, value);
    into.values.emplace_back(&setting, std::move(value));
  }
}

/// For sensors of a profile. The operator's own port holds for the same kind of sensors only.
std::uint16_t profile_port(std::optional<std::uint16_t> own, std::optional<std::uint16_t> of_all,
                           const Profile& profile, const Configuration& configuration) {
  if (own) return *own;
  const std::string& output = value_of(tap::kOutput, &profile, configuration);
  const bool alike = output == configuration.taps[tap::kOutput];
  return alike && of_all ? *of_all : default_sensor_port(output);
}

/// The output of the profile is known before.
void read_profile_sensor(Section section, std::optional<std::uint16_t> port_of_all,
                         const Configuration& configuration, Profile& into) {
  const auto port = read_sensor_port(section);
  if (section.take("address") != nullptr) {
    std::string sensors;
    read_sensors(section, profile_port(port, port_of_all, into, configuration), sensors);
    if (sensors.empty())
      section.fail("address", "\"\"", "HOST[:PORT],...; to forward nothing, sidecar.paused: true");
    into.values.emplace_back(&tap::kSensor, std::move(sensors));
  } else if (port) {
    section.fail("port", std::to_string(*port), "a port beside an address");
  }
  read_profile_settings("sensor", section, into);
  if (section.take("secretName") != nullptr)
    section.text("secretName", into.sensor_secret.emplace(), check_secret);
  section.finish();
}

Result<std::string> check_namespace(std::string_view text) {
  if (!is_dns_label(text)) return Error{"the name of a namespace"};
  return std::string(text);
}

Profile read_one_profile(Section section, std::optional<std::uint16_t> port,
                         const Configuration& configuration) {
  Profile profile;
  if (const auto names = section.texts("namespaces", check_namespace))
    profile.namespaces.insert(names->begin(), names->end());
  auto sensor = section.section("sensor");
  if (auto part = section.section("sidecar")) {
    read_profile_settings("sidecar", *part, profile);
    part->finish();
  }
  if (sensor) read_profile_sensor(std::move(*sensor), port, configuration, profile);
  section.finish();
  check_output(section, &profile, configuration);
  return profile;
}

}  // namespace

void read_settings(std::string_view name, Section& section, tap::Values& into) {
  for (const tap::Setting& setting : tap::kSettings)
    if (is_of(setting, name)) read_setting(setting, section, into[setting]);
}

std::optional<std::uint16_t> read_sensor_port(Section& section) {
  std::uint32_t port = 0;
  section.number("port", port, 1, 65'535);
  return port == 0 ? std::nullopt : std::optional(static_cast<std::uint16_t>(port));
}

void read_sensors(Section& section, std::uint16_t port, std::string& into) {
  section.list("address", into, [port](std::string_view text) -> Result<std::string> {
    if (text.empty()) return std::string();
    return check_sensor(text, port);
  });
}

Result<std::string> check_secret(std::string_view text) {
  if (text.empty()) return std::string();
  return check_object_name(text);
}

void check_output(const Section& section, const Profile* profile,
                  const Configuration& configuration) {
  check_tls(section, profile, configuration);
  const std::string& output = value_of(tap::kOutput, profile, configuration);
  const auto refuse = [&](const char* accepted) {
    section.fail("sidecar.output", output, accepted);
  };
  const auto needs = [&](const char* word, std::initializer_list<const char*> variables,
                         const char* accepted) {
    const auto& env = configuration.sidecar.env;
    if (output == word && std::none_of(variables.begin(), variables.end(),
                                       [&](const char* name) { return env.contains(name); }))
      refuse(accepted);
  };
  needs("pcap", {"PCAP_DIR"}, "pcap with PCAP_DIR in sidecar.env");
  needs("pcap-over-ip", {"PCAP_LISTEN", "PCAP_CONNECT"},
        "pcap-over-ip with PCAP_LISTEN or PCAP_CONNECT in sidecar.env");
  needs("interface", {"OUTPUT_INTERFACE"}, "interface with OUTPUT_INTERFACE in sidecar.env");
  if (!tap::goes_to_sensors(output)) return;
  const std::string& mode = value_of(tap::kSensorMode, profile, configuration);
  if (output == "vxlan" && mode == "failover")
    refuse("rpcap with sensor.mode failover, since receivers of VXLAN do not answer");
  if (output == "vxlan" && mode == "hash")
    refuse("rpcap with sensor.mode hash, since receivers of VXLAN do not answer");
  if (profile == nullptr || !sets(*profile, tap::kOutput) || sets(*profile, tap::kSensor)) return;
  // A sensor understands one of the outputs.
  const bool alike = output == configuration.taps[tap::kOutput];
  if (!alike || configuration.taps[tap::kSensor].empty())
    refuse("an output beside a sensor.address in the same profile");
}

void check_registry_tls(const Section& section, const Configuration& configuration) {
  const bool told = !configuration.registry.address.empty() ||
                    configuration.sidecar.env.contains(tap::kRegistry.env);
  const auto check = [&](const std::string& key, const Profile* profile) {
    if (!told && value_of(tap::kSensorTls, profile, configuration) == "registry")
      section.fail(key, "registry", "another without registry.address, whose CA it takes");
  };
  check("sensor.tls", nullptr);
  for (const auto& [name, profile] : configuration.profiles)
    check("profiles." + name + ".sensor.tls", &profile);
}

void read_profiles(Section section, std::optional<std::uint16_t> port,
                   Configuration& configuration) {
  std::map<std::string, std::string> profile_of_namespace;
  section.each([&](const std::string& name, const Tree&) {
    auto part = section.section(name);
    if (!part) return;
    if (!is_dns_label(name))
      section.fail(name, "", "as a name, lower-case letters, digits and hyphens, at most 63");
    if (configuration.profiles.size() == kMostProfiles)
      section.fail("", "", "at most " + std::to_string(kMostProfiles) + " profiles");
    Profile profile = read_one_profile(*part, port, configuration);
    for (const std::string& one : profile.namespaces) {
      const auto known = profile_of_namespace.emplace(one, name).first;
      if (known->second != name)
        part->fail("namespaces", one, "namespaces of one profile; it is one of " + known->second);
    }
    if (profile_of_namespace.size() > kMostProfileNamespaces)
      section.fail("", "",
                   "at most " + std::to_string(kMostProfileNamespaces) + " namespaces in all");
    configuration.profiles.emplace(name, std::move(profile));
  });
}

}  // namespace sidetap::configuration
