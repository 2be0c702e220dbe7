// Writes the sidecar's container as JSON.
#pragma once

#include <string>
#include <string_view>

#include "webhook/configuration/configuration.h"
#include "webhook/injection/settings.h"

namespace sidetap::injection {

/// Where the tap's token is mounted, from a volume that no other container mounts. The API server
/// would mount the application's API token at the same place: its ServiceAccount plugin runs again
/// after a webhook has changed the pod, and skips only a container that has a mount there.
inline constexpr std::string_view kTokenDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";
inline constexpr std::string_view kTokenFile = "token";
inline constexpr std::string_view kTokenAudience = "sidetap";
/// Where the Secret for sensors is mounted.
inline constexpr std::string_view kSensorSecretDirectory = "/var/run/secrets/sidetap/sensor";
/// Name of the port that serves health and metrics.
inline constexpr std::string_view kStatusPortName = "sidetap-status";

/// Whether this configuration gives taps a token.
bool has_token(const configuration::Configuration& configuration);

/// Names of the pod's volumes that the tap mounts. Empty: none.
struct Mounts {
  std::string token{};          ///< At kTokenDirectory.
  std::string sensor_secret{};  ///< At kSensorSecretDirectory.
};

/// The only probe is for liveness: a tap without its sensor must neither make its pod unready nor
/// keep the application from starting.
std::string container_json(const Settings& settings, const Mounts& mounts,
                           const configuration::Configuration& configuration);

/// The same for an ephemeral container, which has fewer fields: no ports, probes, amounts or
/// volumes. Its tap takes orders from standard input, its token among them, since nothing secret
/// may stand in the pod's spec.
std::string ephemeral_container_json(std::string_view name, const Settings& settings,
                                     const configuration::Configuration& configuration);

}  // namespace sidetap::injection
