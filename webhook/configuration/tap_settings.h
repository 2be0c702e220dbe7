// Reads settings of taps from the sections of the configuration file: those of all taps, and those
// of profiles. Throws Fault, as Section does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/tap/settings.h"
#include "webhook/configuration/configuration.h"
#include "webhook/configuration/section.h"

namespace sidetap::configuration {

/// Reads all settings of the section `name`, except for the sensors.
void read_settings(std::string_view name, Section& section, tap::Values& into);

/// The member `port` of the section `sensor`. Nothing: not given.
std::optional<std::uint16_t> read_sensor_port(Section& section);
/// Reads the member `address` of the section `sensor`. Sensors without a port get this one.
void read_sensors(Section& section, std::uint16_t port, std::string& into);
/// The name of a Secret, or empty.
Result<std::string> check_secret(std::string_view text);

/// Refuses an output, or TLS, that no tap could apply with these settings. `section` holds the
/// section "sidecar"; a null `profile` is the default.
void check_output(const Section& section, const Profile* profile,
                  const Configuration& configuration);

/// Refuses sensors that the registry's CA proves, where taps get no registry.
void check_registry_tls(const Section& section, const Configuration& configuration);

/// Reads the section `profiles`. `configuration` holds all that profiles do not set; `port` is its
/// own sensor.port.
void read_profiles(Section section, std::optional<std::uint16_t> port,
                   Configuration& configuration);

}  // namespace sidetap::configuration
