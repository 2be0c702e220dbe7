// The sidecar's container, as JSON.
#pragma once

#include <string>
#include <string_view>

#include "webhook/configuration/configuration.h"
#include "webhook/injection/settings.h"

namespace sidetap::injection {

/// Where the tap finds its token, from a volume that is mounted into no other container. It is also
/// where the API server would mount the application's API token: its ServiceAccount plugin runs
/// again on what a webhook has changed, and leaves alone only a container that has a mount there.
inline constexpr std::string_view kTokenDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";
inline constexpr std::string_view kTokenFile = "token";
inline constexpr std::string_view kTokenAudience = "sidetap";
/// Name of the port that serves health and metrics.
inline constexpr std::string_view kStatusPortName = "sidetap-status";

/// Does this configuration give taps a token?
bool has_token(const configuration::Configuration& configuration);

/// `volume`: the name of the pod's volume that lies at kTokenDirectory; empty: none does.
/// Health is probed for liveness only: a tap without its sensor must not make its pod unready, nor
/// keep the application from starting.
std::string container_json(const Settings& settings, std::string_view volume,
                           const configuration::Configuration& configuration);

}  // namespace sidetap::injection
