// The tap options that the webhook sets by itself, from the pod and from the registry's address.
// They have no key in the configuration.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "shared/config/options.h"

namespace sidetap::tap {

/// The RPCAP port, for a sensor address without one.
inline constexpr std::uint16_t kSensorPort = 2003;
/// The VXLAN port, for a receiver's address without one.
inline constexpr std::uint16_t kVxlanPort = 4789;
/// The registry's port in the webhook's container.
inline constexpr std::uint16_t kRegistryPort = 8444;

inline constexpr config::OptionSpec kPodName = {.flag = "--pod-name",
                                                .env = "POD_NAME",
                                                .value = "NAME",
                                                .help = "the pod's name, sent to the sensor"};
inline constexpr config::OptionSpec kPodNamespace = {
    .flag = "--pod-namespace",
    .env = "POD_NAMESPACE",
    .value = "NAME",
    .help = "the pod's namespace, sent to the sensor"};
inline constexpr config::OptionSpec kNodeName = {.flag = "--node-name",
                                                 .env = "NODE_NAME",
                                                 .value = "NAME",
                                                 .help = "the node's name, for the log"};
inline constexpr config::OptionSpec kPodIps = {
    .flag = "--pod-ips",
    .env = "POD_IPS",
    .value = "ADDRESS,...",
    .help = "the pod's addresses; those of its interfaces count as well"};
inline constexpr config::OptionSpec kRegistry = {
    .flag = "--registry",
    .env = "REGISTRY",
    .value = "HOST[:PORT]",
    .help =
        "registry that tells which peers run taps that forward, instead of --tapped-peers; default "
        "port: 8444"};
inline constexpr config::OptionSpec kRegistryCa = {
    .flag = "--registry-ca",
    .env = "REGISTRY_CA",
    .value = "PEM|FILE",
    .help = "CA that must have signed the registry's certificate"};
inline constexpr config::OptionSpec kRegistryTokenFile = {
    .flag = "--registry-token-file",
    .env = "REGISTRY_TOKEN_FILE",
    .value = "FILE",
    .help =
        "file with the token that proves which pod this is, read at each connection; -: the tap "
        "waits for a token from --stdin-orders; if unset: no token is sent"};
/// In place of the file's name.
inline constexpr std::string_view kTokenFromOrders = "-";
inline constexpr config::OptionSpec kStdinOrders = {
    .flag = "--stdin-orders",
    .env = "STDIN_ORDERS",
    .value = "on|off",
    .fallback = "off",
    .help =
        "on: take orders from standard input, one on each line: token TEXT, for TIME, stop; a tap "
        "in an ephemeral container gets its token this way"};
inline constexpr config::OptionSpec kNativeSidecar = {
    .flag = "--native-sidecar",
    .env = "NATIVE_SIDECAR",
    .value = "on|off",
    .fallback = "off",
    .help =
        "on: the tap's container ends after the other containers of the pod; the registry then "
        "knows that the pod no longer answers"};

inline constexpr config::OptionSpec kSensorSecretDir = {
    .flag = "--sensor-secret-dir",
    .env = "SENSOR_SECRET_DIR",
    .value = "FOLDER",
    .help =
        "folder of a mounted Secret; at each connection, the tap reads its files ca.crt, tls.crt, "
        "tls.key, username and password where no other option names a file; no session begins "
        "while a needed file is missing"};
inline constexpr config::OptionSpec kProfile = {
    .flag = "--profile",
    .env = "PROFILE",
    .value = "NAME",
    .help =
        "profile to ask the registry for, from the pod's annotation; if unset: the profile of the "
        "pod's namespace"};
inline constexpr config::OptionSpec kRegistryControl = {
    .flag = "--registry-control",
    .env = "REGISTRY_CONTROL",
    .value = "on|off|NAME,...",
    .fallback = "on",
    .help =
        "what the registry may change while the tap runs: sensors, filter, sampling, snaplen, "
        "rate, pause; on: all of them"};

inline constexpr config::OptionSpec kMeshKind = {
    .flag = "--mesh-kind",
    .env = "MESH_KIND",
    .value = "KIND",
    .fallback = "auto",
    .help =
        "the pod's mesh: istio (sidecar), ambient, linkerd, or envoy (Consul, Kuma); auto: the tap "
        "recognizes it by the ports that its proxy listens on"};

inline constexpr std::array kAssigned = {
    &kPodName,         &kPodNamespace,      &kNodeName,    &kPodIps,        &kRegistry,
    &kRegistryCa,      &kRegistryTokenFile, &kStdinOrders, &kNativeSidecar, &kProfile,
    &kRegistryControl, &kSensorSecretDir,   &kMeshKind};

}  // namespace sidetap::tap
