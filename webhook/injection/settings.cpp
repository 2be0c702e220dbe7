#include "webhook/injection/settings.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shared/net/text.h"
#include "shared/tap/assigned.h"
#include "webhook/configuration/quantity.h"
#include "webhook/configuration/values.h"
#include "webhook/pods/warning.h"

namespace sidetap::injection {
namespace {

using configuration::Configuration;
using configuration::Override;
using pods::Pod;
using pods::warning;

/// The variable of the seed's tap that names the sensor.
constexpr std::string_view kSeedSensor = "EXTRAHOP_SENSOR_IP";

/// Stores the value in the target, or returns what is accepted.
template <typename Target, typename T>
Result<void> put(Target& target, Result<T> checked) {
  if (!checked) return checked.error();
  target = std::move(*checked);
  return {};
}

Result<void> tell(Settings& settings, const tap::Setting& setting, Result<std::string> checked) {
  if (!checked) return checked.error();
  settings.tell(setting, std::move(*checked));
  return {};
}

Form default_form(const Configuration& configuration) {
  return configuration::native_by_default(configuration) ? Form::kNative : Form::kContainer;
}

Result<Form> check_native(std::string_view text, const Configuration& configuration) {
  if (text != "true" && text != "false") return Error{R"("true", "false")"};
  if (text == "true" && configuration::native_is_impossible(configuration))
    return Error{R"("false": this cluster knows no native sidecars)"};
  return text == "true" ? Form::kNative : Form::kContainer;
}

Result<std::string> check_profile(std::string_view text, const Configuration& configuration) {
  if (configuration.profiles.contains(text)) return std::string(text);
  std::vector<std::string_view> names;
  for (const auto& [name, profile] : configuration.profiles) names.push_back(name);
  if (names.empty()) return Error{"none, since no profile is configured"};
  return Error{net::joined(names, ", ")};
}

Result<void> apply(Override item, std::string_view text, const Configuration& configuration,
                   Settings& settings) {
  switch (item) {
    case Override::kSensor:
      return tell(
          settings, tap::kSensor,
          configuration::check_sensor(text, configuration::default_sensor_port(
                                                settings.told(tap::kOutput, configuration))));
    case Override::kSnaplen:
      return tell(settings, tap::kSnaplen, tap::check(tap::kSnaplen, text));
    case Override::kCpuLimit:
      return put(settings.limits.cpu, configuration::check_cpu(text));
    case Override::kMemoryLimit:
      return put(settings.limits.memory, configuration::check_memory(text));
    case Override::kInterface:
      return tell(settings, tap::kInterface, tap::check(tap::kInterface, text));
    case Override::kLogLevel:
      return tell(settings, tap::kLogLevel, tap::check(tap::kLogLevel, text));
    case Override::kImage:
      return put(settings.image, configuration::check_image(text));
    case Override::kMesh:
      return tell(settings, tap::kMesh, tap::check(tap::kMesh, text));
    case Override::kProfile:
      return put(settings.chosen_profile, check_profile(text, configuration));
    case Override::kNative:
      break;
  }
  return put(settings.form, check_native(text, configuration));
}

std::optional<Override> override_of(const pods::Annotation& annotation) {
  return configuration::override_of_name(annotation.key.substr(pods::kAnnotationPrefix.size()));
}

bool is_allowed(Override item, const Configuration& configuration) {
  return configuration.sidecar.overrides.test(static_cast<std::size_t>(item));
}

/// Calls `visit(value)` for each of the pod's annotations for `item`, if the operator allows them.
template <typename Visit>
void each_override(const Pod& pod, Override item, const Configuration& configuration,
                   Visit&& visit) {
  if (!is_allowed(item, configuration)) return;
  for (const pods::Annotation& annotation : pod.overrides)
    if (override_of(annotation) == item) visit(annotation.value);
}

/// The profile of the pod; null: the default.
const configuration::Profile* profile_of(const Pod& pod, std::string_view namespace_name,
                                         const Configuration& configuration) {
  std::string_view asked;
  each_override(pod, Override::kProfile, configuration, [&](std::string_view text) {
    if (configuration.profiles.contains(text)) asked = text;
  });
  return configuration::profile_of(configuration, namespace_name, asked);
}

void apply_or_warn(const pods::Annotation& annotation, const Configuration& configuration,
                   Settings& settings, std::vector<std::string>& warnings) {
  const std::string key(annotation.key);
  const auto item = override_of(annotation);
  if (!item) {
    warnings.push_back(warning("unknown annotation " + key));
  } else if (!is_allowed(*item, configuration)) {
    warnings.push_back(warning(key + " is ignored: the operator does not allow it"));
  } else if (const auto applied = apply(*item, annotation.value, configuration, settings);
             !applied) {
    warnings.push_back(warning(key + " " + pods::in_quotes(annotation.value) +
                               " is ignored; accepted: " + applied.error().text));
  }
}

/// Lowers a request to its limit: the API server refuses a pod with a higher request.
void lower(std::string& request, const std::string& limit) {
  if (configuration::parse_quantity(request).value_or(0) >
      configuration::parse_quantity(limit).value_or(0))
    request = limit;
}

/// Istio's agent and proxy listen on these ports, whether or not their container declares them.
bool is_of_istio(std::uint16_t port) { return port >= 15'000 && port <= 15'099; }

/// The configured port, or the next one that is neither Istio's nor declared by a container.
std::uint16_t free_status_port(const Pod& pod, std::uint16_t wanted) {
  std::uint16_t port = wanted;
  while (port < 65'535 &&
         (is_of_istio(port) || std::binary_search(pod.ports.begin(), pod.ports.end(), port)))
    ++port;
  return port;
}

void settle_status_port(const Pod& pod, const Configuration& configuration, Settings& settings) {
  const std::string& wanted = configuration.taps[tap::kStatusPort];
  settings.status_port =
      free_status_port(pod, net::whole_number<std::uint16_t>(wanted).value_or(0));
  if (auto free = std::to_string(settings.status_port); free != wanted)
    settings.tell(tap::kStatusPort, std::move(free));
}

/// Whether the pod's tap encrypts what it sends, or its operator says that it need not. A variable
/// from elsewhere, such as `envFrom`, is not seen here.
bool may_send_plaintext(const Configuration& configuration, const Settings& settings) {
  const auto& env = configuration.sidecar.env;
  const auto is_set = [&env](std::string_view name, std::string_view not_to) {
    const auto found = env.find(name);
    return found != env.end() && !found->second.empty() && found->second != not_to;
  };
  if (is_set("MESH_CLEARTEXT_OK", "false") ||
      !tap::leaves_pod(settings.told(tap::kOutput, configuration)))
    return true;
  if (settings.told(tap::kOutput, configuration) != "rpcap") return false;
  const std::string_view role = tap::kSensorTls.option.env;
  if (env.contains(role)) return is_set(role, "off");
  return settings.told(tap::kSensorTls, configuration) != "off";
}

/// A tap that would send plaintext in the clear ends at once, again and again.
void settle_mesh(const Pod& pod, const Configuration& configuration, Settings& settings,
                 std::vector<std::string>& warnings) {
  if (settings.told(tap::kMesh, configuration) == "off") return;
  if (may_send_plaintext(configuration, settings)) {
    settings.mesh_kind = pod.mesh;
    return;
  }
  warnings.push_back(
      warning("the plaintext of the mesh is not captured: no TLS to the sensor; ask the operator "
              "for sensor.tls"));
  settings.tell(tap::kMesh, "off");
}

/// The registry changes nothing that the pod itself or the operator's variables have set.
void settle_controls(const Configuration& configuration, Settings& settings) {
  const auto& env = configuration.sidecar.env;
  settings.controls = configuration.sidecar.controls;
  for (const auto& [setting, value] : settings.own)
    configuration::take_out(*setting, settings.controls);
  for (const tap::Setting& setting : tap::kSettings)
    if (env.contains(setting.option.env)) configuration::take_out(setting, settings.controls);
  if (env.contains(kSeedSensor)) configuration::take_out(tap::kSensor, settings.controls);
}

void settle_resources(const Pod& pod, Settings& settings) {
  lower(settings.requests.cpu, settings.limits.cpu);
  lower(settings.requests.memory, settings.limits.memory);
  if (pods::is_guaranteed(pod)) settings.requests = settings.limits;
  // Pod-level resources bound every container. The tap's amounts could exceed them, and the API
  // server would refuse the pod.
  if (pod.bounds_cpu) settings.requests.cpu = settings.limits.cpu = {};
  if (pod.bounds_memory) settings.requests.memory = settings.limits.memory = {};
}

/// What the operator's template and the pod's annotations say.
Settings chosen(const Pod& pod, std::string_view namespace_name, const Configuration& configuration,
                std::vector<std::string>& warnings) {
  const configuration::Sidecar& sidecar = configuration.sidecar;
  Settings settings;
  settings.form = default_form(configuration);
  settings.image = sidecar.image;
  settings.requests = sidecar.requests;
  settings.limits = sidecar.limits;
  settings.profile = profile_of(pod, namespace_name, configuration);
  for (const pods::Annotation& annotation : pod.overrides)
    apply_or_warn(annotation, configuration, settings, warnings);
  settle_mesh(pod, configuration, settings, warnings);
  settle_controls(configuration, settings);
  return settings;
}

}  // namespace

void Settings::tell(const tap::Setting& setting, std::string value) {
  for (auto& [known, text] : own) {
    if (known != &setting) continue;
    text = std::move(value);
    return;
  }
  own.emplace_back(&setting, std::move(value));
}

std::string_view Settings::told(const tap::Setting& setting,
                                const Configuration& configuration) const {
  for (const auto& [known, text] : own)
    if (known == &setting) return text;
  return configuration::value_of(setting, profile, configuration);
}

Form form_of(const Pod& pod, const Configuration& configuration) {
  Form form = default_form(configuration);
  each_override(pod, Override::kNative, configuration, [&](std::string_view text) {
    if (const auto asked = check_native(text, configuration)) form = *asked;
  });
  return form;
}

bool has_sensor(const Pod& pod, std::string_view namespace_name,
                const Configuration& configuration) {
  constexpr std::array<std::string_view, 3> kInstead = {tap::kSensor.option.env, kSeedSensor,
                                                        "PASSIVE_LISTEN"};
  const configuration::Profile* const profile = profile_of(pod, namespace_name, configuration);
  const std::string& output = configuration::value_of(tap::kOutput, profile, configuration);
  bool has = !configuration::value_of(tap::kSensor, profile, configuration).empty() ||
             !tap::goes_to_sensors(output) ||
             std::any_of(kInstead.begin(), kInstead.end(), [&](std::string_view name) {
               return configuration.sidecar.env.contains(name);
             });
  if (has) return true;
  each_override(pod, Override::kSensor, configuration, [&](std::string_view text) {
    has = has || configuration::check_sensor(text, tap::kSensorPort);
  });
  return has;
}

Settings settle(const Pod& pod, std::string_view namespace_name, const Configuration& configuration,
                std::vector<std::string>& warnings) {
  Settings settings = chosen(pod, namespace_name, configuration, warnings);
  settle_resources(pod, settings);
  settle_status_port(pod, configuration, settings);
  if (settings.form == Form::kContainer && pod.ends)
    warnings.push_back(warning("as a plain container the sidecar keeps this pod from finishing"));
  if (pod.platform.offered_to_windows)
    warnings.push_back(
        warning("the pod may run on Windows nodes, where the sidecar cannot; require "
                "kubernetes.io/os=linux"));
  return settings;
}

Settings settle_ephemeral(const Pod& pod, std::string_view namespace_name,
                          const Configuration& configuration, std::vector<std::string>& warnings) {
  Settings settings = chosen(pod, namespace_name, configuration, warnings);
  settings.form = Form::kContainer;
  settings.requests = settings.limits = {};
  settle_status_port(pod, configuration, settings);
  return settings;
}

}  // namespace sidetap::injection
