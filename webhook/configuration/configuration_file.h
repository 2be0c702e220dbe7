// Reads the configuration file, YAML or JSON. Strict: for an unknown key or a wrong value, the
// Error is one line that names the file, the key, the value and what is accepted.
//
//   generation: 7                 # increases with each change
//   sensor:
//     address: 10.10.10.10        # HOST or HOST:PORT; several: a list, or separated by commas
//     port: 2003                  # for addresses that name none
//     mode: replicate             # replicate, failover, balance, hash
//     tls: off                    # off, rpcaps, client, registry
//     secretName: ""              # a Secret in the namespace of each pod
//   subnets:                      # both optional with a registry
//     pods: [10.244.0.0/16, fd00:244::/56]
//     services: [10.96.0.0/12]    # needed for sidecar.serviceView never
//   sidecar:
//     name: sidetap
//     image: registry.example.com/sidetap-sidecar:0.1.0
//     imagePullPolicy: IfNotPresent
//     imagePullSecrets: [regcred]
//     native: auto                # auto, always, never
//     capabilities: explicit      # explicit, runtimeDefault
//     resources:
//       requests: {cpu: 10m, memory: 32Mi}
//       limits: {cpu: 500m, memory: 96Mi}
//     snaplen: 262144             # and the other settings of a tap: shared/tap/settings.h
//     env: {FLUSH_INTERVAL: 20ms}
//     container: {}               # fields of the container, in place of the built-in ones
//     overrides: [sensor, snaplen, cpu-limit, memory-limit, interface, log-level, native, profile,
//                 mesh]
//     registryControl: on         # on, off, or a list of groups of settings
//   profiles:                     # what some pods get instead
//     edge:
//       namespaces: [shop]        # and pods with the annotation sidetap.io/profile: edge
//       sensor: {address: 10.10.10.11}    # address, port, mode, tls, secretName
//       sidecar: {filter: not port 9100}  # output, filter, flowSampling, snaplen, maxRate,
//                                         # maxPacketRate, paused
//   injection:
//     serverVersion: v1.36.2
//     ownNamespace: sidetap
//     excludedNamespaces: [monitoring]
//     excludedPods: {matchLabels: {app: sensor}}    # or a list of selectors
//     forceJobs: false
//   registry:
//     address: sidetap-registry.sidetap.svc:8444
//     ca: |
//       -----BEGIN CERTIFICATE-----
//     auth: token                 # token, none
//     tokenExpirationSeconds: 3600
#pragma once

#include <string>
#include <string_view>

#include "shared/result.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::configuration {

/// `name` is the file's name in error lines.
Result<Configuration> parse_configuration(std::string_view text, std::string_view name);
/// Reads at most 4 MiB.
Result<Configuration> load_configuration(const std::string& path);

}  // namespace sidetap::configuration
