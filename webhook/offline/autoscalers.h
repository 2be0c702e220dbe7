// Autoscalers among manifests whose measure a tap would move.
//
// A HorizontalPodAutoscaler with a metric of type Resource sums the usage of all containers of a
// pod and sets it against the sum of their requests, the tap's included: a tap that uses 300m on a
// request of 10m scales the application. A metric of type ContainerResource names one container.
#pragma once

#include <string>
#include <vector>

#include "shared/yaml/tree.h"

namespace sidetap::offline {

struct Autoscaler {
  std::string kind;  ///< "HorizontalPodAutoscaler", or KEDA's "ScaledObject".
  std::string name;
  std::string namespace_name;  ///< Empty: the document does not say.
  std::string target_kind;
  std::string target_name;
  std::vector<std::string> resources;  ///< What it sums: "cpu", "memory"; never empty.
};

/// Those that sum over containers, in order, also inside Lists.
std::vector<Autoscaler> summing_autoscalers(std::vector<yaml::Tree>& documents);

/// What to tell the user of a tapped workload that it scales.
std::string warning_of(const Autoscaler& autoscaler);

}  // namespace sidetap::offline
