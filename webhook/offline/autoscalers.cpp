#include "webhook/offline/autoscalers.h"

#include <algorithm>
#include <utility>

#include "webhook/offline/objects.h"

namespace sidetap::offline {
namespace {

void add(std::vector<std::string>& resources, const std::string& resource) {
  if (resource.empty()) return;
  if (std::find(resources.begin(), resources.end(), resource) == resources.end())
    resources.push_back(resource);
}

/// Without any metric, the API server adds CPU as the default.
std::vector<std::string> summed_by_metrics(const Tree& spec) {
  std::vector<std::string> resources;
  const Tree& metrics = member(spec, "metrics");
  if (!metrics.is_array() || metrics.empty()) return {"cpu"};
  for (const Tree& metric : metrics)
    if (text_of(metric, "type") == "Resource")
      add(resources, text_of(member(metric, "resource"), "name"));
  return resources;
}

/// KEDA creates a HorizontalPodAutoscaler from it.
std::vector<std::string> summed_by_triggers(const Tree& spec) {
  std::vector<std::string> resources;
  const Tree& triggers = member(spec, "triggers");
  if (!triggers.is_array()) return resources;
  for (const Tree& trigger : triggers) {
    const std::string type = text_of(trigger, "type");
    if ((type == "cpu" || type == "memory") &&
        text_of(member(trigger, "metadata"), "containerName").empty())
      add(resources, type);
  }
  return resources;
}

}  // namespace

std::vector<Autoscaler> summing_autoscalers(std::vector<Tree>& documents) {
  std::vector<Autoscaler> all;
  const auto collect = [&](const Tree& object, const std::string& kind) {
    const bool keda = kind == "ScaledObject";
    if (!keda && kind != "HorizontalPodAutoscaler") return;
    const Tree& spec = member(object, "spec");
    auto resources = keda ? summed_by_triggers(spec) : summed_by_metrics(spec);
    if (resources.empty()) return;
    const Tree& target = member(spec, "scaleTargetRef");
    std::string target_kind = text_of(target, "kind");
    if (target_kind.empty() && keda) target_kind = "Deployment";
    all.push_back({.kind = kind,
                   .name = name_of(object),
                   .namespace_name = text_of(member(object, "metadata"), "namespace"),
                   .target_kind = std::move(target_kind),
                   .target_name = text_of(target, "name"),
                   .resources = std::move(resources)});
  };
  for (Tree& document : documents) each_object(document, collect);
  return all;
}

std::string warning_of(const Autoscaler& autoscaler) {
  std::string resources;
  for (const std::string& resource : autoscaler.resources)
    resources += (resources.empty() ? "" : " and ") + resource;
  const std::string remedy =
      autoscaler.kind == "ScaledObject"
          ? "set metadata.containerName of its trigger to the application's container"
          : "use a metric of type ContainerResource that names the application's container";
  return "sidetap: " + autoscaler.kind + " " + autoscaler.name + " scales by the " + resources +
         " of all containers, the tap's included; " + remedy;
}

}  // namespace sidetap::offline
