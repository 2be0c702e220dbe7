#include "webhook/injection/settings.h"

#include <algorithm>
#include <utility>

#include "webhook/admission/review.h"
#include "webhook/configuration/quantity.h"
#include "webhook/configuration/values.h"
#include "webhook/injection/pod_resources.h"

namespace sidetap::injection {
namespace {

using admission::Form;
using admission::Value;
using configuration::Amounts;
using configuration::Configuration;
using configuration::Override;

constexpr std::uint16_t kSensorPort = 2003;

/// Puts the value where it belongs, or says what would be accepted.
template <typename Target, typename T>
Result<void> put(Target& target, Result<T> checked) {
  if (!checked) return checked.error();
  target = std::move(*checked);
  return {};
}

Result<void> put_native(Settings& settings, std::string_view text,
                        const Configuration& configuration) {
  if (text != "true" && text != "false") return Error{R"("true", "false")"};
  if (text == "true" && configuration::native_is_impossible(configuration))
    return Error{R"("false": this cluster knows no native sidecars)"};
  settings.form = text == "true" ? Form::kNative : Form::kContainer;
  return {};
}

Result<void> apply(Override item, std::string_view text, const Configuration& configuration,
                   Settings& settings) {
  switch (item) {
    case Override::kSensor:
      return put(settings.sensor, configuration::check_sensor(text, kSensorPort));
    case Override::kSnaplen:
      return put(settings.snaplen, configuration::check_snaplen(text));
    case Override::kCpuLimit:
      return put(settings.limits.cpu, configuration::check_cpu(text));
    case Override::kMemoryLimit:
      return put(settings.limits.memory, configuration::check_memory(text));
    case Override::kInterface:
      return put(settings.interface, configuration::check_interface(text));
    case Override::kLogLevel:
      return put(settings.log_level, configuration::check_log_level(text));
    case Override::kImage:
      return put(settings.image, configuration::check_image(text));
    case Override::kNative:
      break;
  }
  return put_native(settings, text, configuration);
}

void apply_overrides(Value pod, const Configuration& configuration, Settings& settings,
                     std::vector<std::string>& warnings) {
  const auto annotations = admission::find(admission::find(pod, "metadata"), "annotations");
  admission::each_member(annotations, [&](std::string_view key, Value value) {
    if (!key.starts_with(admission::kAnnotationPrefix) || key == admission::kInjectKey ||
        key == admission::kStatusKey)
      return;
    const auto item =
        configuration::override_of_name(key.substr(admission::kAnnotationPrefix.size()));
    if (!item) {
      warnings.push_back(admission::warning("unknown annotation " + std::string(key)));
      return;
    }
    if (!configuration.sidecar.overrides.test(static_cast<std::size_t>(*item))) {
      warnings.push_back(
          admission::warning(std::string(key) + " is ignored: the operator does not allow it"));
      return;
    }
    const std::string_view text = admission::as_text(value).value_or(std::string_view());
    const auto applied = apply(*item, text, configuration, settings);
    if (!applied)
      warnings.push_back(admission::warning(std::string(key) + " " + admission::in_quotes(text) +
                                            " is ignored; accepted: " + applied.error().text));
  });
}

/// A request above its limit would have the pod refused.
void lower(std::string& request, const std::string& limit) {
  if (configuration::parse_quantity(request).value_or(0) >
      configuration::parse_quantity(limit).value_or(0))
    request = limit;
}

/// Istio's agent and proxy listen there, whichever of these ports its container declares.
bool is_of_istio(std::uint16_t port) { return port >= 15'000 && port <= 15'099; }

/// The configured port, or the next one that is neither Istio's nor declared by a container of the
/// pod.
std::uint16_t free_status_port(Value pod, std::uint16_t wanted) {
  std::vector<std::int64_t> taken;
  const auto collect = [&](Value container) {
    admission::each_element(admission::find(container, "ports"), [&](Value port) {
      std::int64_t number = 0;
      const auto value = admission::find(port, "containerPort");
      if (value && !value->get(number)) taken.push_back(number);
    });
  };
  const auto spec = admission::find(pod, "spec");
  admission::each_element(admission::find(spec, "containers"), collect);
  admission::each_element(admission::find(spec, "initContainers"), collect);
  std::sort(taken.begin(), taken.end());
  std::uint16_t port = wanted;
  while (port < 65'535 &&
         (is_of_istio(port) || std::binary_search(taken.begin(), taken.end(), port)))
    ++port;
  return port;
}

}  // namespace

Settings settle(Value pod, const Configuration& configuration, std::vector<std::string>& warnings) {
  const configuration::Sidecar& sidecar = configuration.sidecar;
  Settings settings;
  settings.form =
      configuration::native_by_default(configuration) ? Form::kNative : Form::kContainer;
  settings.sensor = configuration.sensor;
  settings.image = sidecar.image;
  settings.interface = sidecar.interface;
  settings.log_level = sidecar.log_level;
  settings.snaplen = sidecar.snaplen;
  settings.requests = sidecar.requests;
  settings.limits = sidecar.limits;
  apply_overrides(pod, configuration, settings, warnings);

  lower(settings.requests.cpu, settings.limits.cpu);
  lower(settings.requests.memory, settings.limits.memory);
  if (is_guaranteed(pod)) settings.requests = settings.limits;
  // What the pod has as a whole bounds every container in it; figures of ours could exceed it, and
  // the pod would be refused.
  if (has_pod_level(pod, "cpu")) settings.requests.cpu = settings.limits.cpu = {};
  if (has_pod_level(pod, "memory")) settings.requests.memory = settings.limits.memory = {};
  settings.status_port = free_status_port(pod, sidecar.status_port);
  return settings;
}

}  // namespace sidetap::injection
