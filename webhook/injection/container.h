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
/// Name of the port that serves health and metrics.
inline constexpr std::string_view kStatusPortName = "sidetap-status";

/// Whether this configuration gives taps a token.
bool has_token(const configuration::Configuration& configuration);

/// `volume` is the name of the pod's volume to mount at kTokenDirectory; empty means none. The only
/// probe is for liveness: a tap without its sensor must neither make its pod unready nor keep the
/// application from starting.
std::string container_json(const Settings& settings, std::string_view volume,
                           const configuration::Configuration& configuration);

}  // namespace sidetap::injection
