// Finds autoscalers in manifests whose measurement a tap would change.
//
// A HorizontalPodAutoscaler with a metric of type Resource compares the usage of all containers of
// a pod with the sum of their requests, including the tap's: a tap that uses 300m with a request of
// 10m scales the application. A metric of type ContainerResource names one container.
#pragma once

#include <string>
#include <vector>

#include "shared/yaml/tree.h"

namespace sidetap::offline {

struct Autoscaler {
  std::string kind;  ///< "HorizontalPodAutoscaler", or KEDA's "ScaledObject".
  std::string name;
  std::string namespace_name;  ///< Empty: not in the document.
  std::string target_kind;
  std::string target_name;
  std::vector<std::string> resources;  ///< What it sums: "cpu", "memory". Never empty.
};

/// The autoscalers that sum over containers, in order, including those inside Lists.
std::vector<Autoscaler> summing_autoscalers(std::vector<yaml::Tree>& documents);

/// The warning for a tapped workload that it scales.
std::string warning_of(const Autoscaler& autoscaler);

}  // namespace sidetap::offline
