// The configuration for the webhook's fuzzers and for the test of their corpus.
#pragma once

#include "webhook/configuration/configuration.h"

namespace sidetap::fuzz {

/// Has a sensor, a profile, a registry with a token, pull secrets and every override, so that a
/// patch contains everything that it can contain.
inline configuration::Configuration webhook_configuration() {
  configuration::Configuration configuration;
  configuration.taps[tap::kSensor] = "10.10.10.10:2003";
  configuration.taps[tap::kPodSubnets] = "10.244.0.0/16";
  configuration.taps[tap::kSensorTls] = "client";
  configuration.injection.server_version = configuration::Version{1, 36};
  configuration.sidecar.image_pull_secrets = {"regcred", "shared"};
  configuration.sidecar.overrides.set();
  configuration.profiles["edge"].values.emplace_back(&tap::kFilter, "not port 9100");
  configuration.registry.address = "sidetap-registry.sidetap.svc:8444";
  configuration.registry.ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  return configuration;
}

}  // namespace sidetap::fuzz
