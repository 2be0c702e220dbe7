// The sidecar's container, as JSON.
#pragma once

#include <string>
#include <string_view>

#include "webhook/configuration/configuration.h"
#include "webhook/injection/settings.h"

namespace sidetap::injection {

/// Where the tap finds its token; the volume is mounted into no other container.
inline constexpr std::string_view kTokenDirectory = "/var/run/secrets/sidetap";
inline constexpr std::string_view kTokenFile = "token";
inline constexpr std::string_view kTokenAudience = "sidetap";
/// Name of the port that serves health and metrics.
inline constexpr std::string_view kStatusPortName = "sidetap-status";

/// Does this configuration give taps a token?
bool has_token(const configuration::Configuration& configuration);

/// `token_volume`: the name of the pod's volume that holds the token; counts where has_token().
/// Health is probed for liveness only: a tap without its sensor must not make its pod unready, nor
/// keep the application from starting.
std::string container_json(const Settings& settings, std::string_view token_volume,
                           const configuration::Configuration& configuration);

}  // namespace sidetap::injection
