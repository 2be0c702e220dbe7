// The operator's configuration of injection: an immutable value, shared by all threads.
//
// A default-constructed Configuration holds the built-in defaults, which name no sensor: without
// one, no pod is injected. configuration_file.h reads it from YAML or JSON.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/result.h"
#include "shared/tap/settings.h"

namespace sidetap::configuration {

/// The form in which the tap joins a pod.
enum class Native : std::uint8_t {
  kAuto,    ///< A native sidecar from server 1.32 on (its kubelets are 1.29 or newer).
  kAlways,  ///< A native sidecar: the operator knows that all kubelets are 1.29 or newer.
  kNever,   ///< A plain container.
};

/// How the tap's container gets NET_RAW.
enum class Capabilities : std::uint8_t {
  kExplicit,        ///< Drops all capabilities and adds NET_RAW.
  kRuntimeDefault,  ///< The runtime's own set: passes the Pod Security level "baseline".
};

/// What a pod may change about its own tap, with the annotation "sidetap.io/" + name.
enum class Override : std::uint8_t {
  kSensor,
  kSnaplen,
  kCpuLimit,
  kMemoryLimit,
  kInterface,
  kLogLevel,
  kImage,
  kNative,
  kProfile,
  kMesh,
};
inline constexpr std::size_t kOverrideCount = 10;
using OverrideSet = std::bitset<kOverrideCount>;

/// "sensor", "cpu-limit" and so on.
std::string_view override_name(Override item);
std::optional<Override> override_of_name(std::string_view name);
/// Everything except the image, which would let a pod run any code with NET_RAW.
OverrideSet default_overrides();

/// A Kubernetes version without the patch level: 1.32.
struct Version {
  unsigned major = 0;
  unsigned minor = 0;
  friend auto operator<=>(const Version&, const Version&) = default;
};
/// Reads "1.32", "v1.32.4", "v1.31.2-eks-7f9249a" or "1.30+"; nothing if the text starts otherwise.
std::optional<Version> parse_version(std::string_view text);

/// Kubernetes quantities, as the operator wrote them.
struct Amounts {
  std::string cpu;
  std::string memory;
};

/// The groups as tap::parse_controls() reads them; "on" for all.
std::string to_string(const tap::ControlSet& controls);
/// Takes the group of this setting out, if it has one.
void take_out(const tap::Setting& setting, tap::ControlSet& controls);

/// The template of the container. Every field ends up in the pod unless a comment says otherwise.
struct Sidecar {
  std::string name = "sidetap";
  std::string image = "sidetap-sidecar:" SIDETAP_VERSION;
  std::string image_pull_policy = "IfNotPresent";
  std::vector<std::string> image_pull_secrets;  ///< Merged into the pod's own.
  Native native = Native::kAuto;
  Capabilities capabilities = Capabilities::kExplicit;
  Amounts requests{.cpu = "10m", .memory = "32Mi"};
  Amounts limits{.cpu = "500m", .memory = "96Mi"};
  /// More environment variables. They override the built-in ones.
  std::map<std::string, std::string, std::less<>> env;
  /// Fields of the container as JSON text, by name. They replace the built-in ones.
  std::map<std::string, std::string> fields;
  OverrideSet overrides = default_overrides();
  /// What the registry may change in running taps. A pod that sets one of the settings itself takes
  /// its group out.
  tap::ControlSet controls = tap::ControlSet().set();
};

/// One condition of a label selector (LabelSelectorRequirement).
struct LabelCondition {
  enum class Operator : std::uint8_t { kIn, kNotIn, kExists, kDoesNotExist };
  std::string key;
  Operator op = Operator::kExists;
  std::vector<std::string> values;
};
/// Matches if all conditions match.
using LabelSelector = std::vector<LabelCondition>;

/// Which pods are considered.
struct Injection {
  std::optional<Version> server_version;  ///< Nothing: unknown.
  std::string own_namespace;              ///< The webhook's.
  std::vector<std::string> excluded_namespaces;
  std::vector<LabelSelector> excluded_pods;  ///< A pod that matches one of them is not injected.
  bool force_jobs = false;                   ///< Pods of Jobs also get a plain container.
};

/// The registry from which taps learn which peers are tapped.
struct Registry {
  std::string address;              ///< HOST:PORT. Empty: no registry.
  std::string ca;                   ///< PEM.
  bool token = true;                ///< The tap authenticates with a service account token.
  std::uint32_t token_life = 3600;  ///< Seconds.
};

/// What some pods get instead of what all others get. Only settings that the registry may change
/// while a tap runs, and the Secret.
struct Profile {
  std::set<std::string, std::less<>> namespaces{};
  /// Checked values of the settings that this profile sets; each has a Setting::control.
  std::vector<std::pair<const tap::Setting*, std::string>> values{};
  std::optional<std::string> sensor_secret{};  ///< As Configuration::sensor_secret.
};

struct Configuration {
  /// The settings of taps, from any section. Without a sensor, nothing is injected.
  tap::Values taps;
  Sidecar sidecar;
  Injection injection;
  Registry registry;
  /// Increases with each change of the configuration, so that taps follow the newer one of two. The
  /// chart writes the revision of its release.
  std::uint64_t generation = 0;
  /// A Secret in the namespace of each tapped pod, from which taps read what they need for TLS and
  /// for the password towards sensors. Empty: none.
  std::string sensor_secret;
  /// By name. A namespace is in at most one of them.
  std::map<std::string, Profile, std::less<>> profiles;
};

inline constexpr std::size_t kMostProfiles = 64;
/// Of all profiles together.
inline constexpr std::size_t kMostProfileNamespaces = 4096;

/// The profile of a pod: the one that its annotation asks for, if it exists and pods may choose;
/// else the one of its namespace; null: the default. `asked` is empty without an annotation. Not
/// slower for profiles with many namespaces, since every review asks.
const Profile* profile_of(const Configuration& configuration, std::string_view name_space,
                          std::string_view asked);
/// Its name; empty: the default. Valid as long as `configuration`.
std::string_view profile_name_of(const Configuration& configuration, std::string_view name_space,
                                 std::string_view asked);
/// The value of a setting in this profile (null: the default). Valid as long as both.
const std::string& value_of(const tap::Setting& setting, const Profile* profile,
                            const Configuration& configuration);
/// The Secret of this profile (null: the default); empty: none. Valid as long as both.
const std::string& sensor_secret_of(const Profile* profile, const Configuration& configuration);
/// The port of a sensor that names none, by what the taps send to it: a value of tap::kOutput.
std::uint16_t default_sensor_port(std::string_view output);

/// Whether taps get a registry's address but no CA for it. Such a tap ends at once.
bool lacks_registry_ca(const Configuration& configuration);
/// Whether a pod without an annotation of its own gets a native sidecar.
bool native_by_default(const Configuration& configuration);
/// Whether the server is known not to support native sidecars. There, one would block its pod.
bool native_is_impossible(const Configuration& configuration);

}  // namespace sidetap::configuration
