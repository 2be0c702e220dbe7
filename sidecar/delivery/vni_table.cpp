#include "sidecar/delivery/vni_table.h"

#include <utility>

#include "shared/telemetry/log.h"

namespace sidetap {

void VniTable::note(const std::string& pod_namespace, std::uint32_t vni) {
  if (numbers_.contains(pod_namespace)) return;
  if (numbers_.size() == kMostRows) {
    if (!std::exchange(full_, true))
      telemetry::warn("too many namespaces to publish the VNI of each", {{"published", kMostRows}});
    return;
  }
  numbers_.emplace(pod_namespace, vni);
  metrics_.expose(kVxlanVniMetric, {{"namespace", pod_namespace}, {"vni", std::to_string(vni)}},
                  [] { return 1.0; });
  telemetry::info("VNI of a namespace", {{"namespace", pod_namespace}, {"vni", vni}});
  const auto [first, fresh] = namespaces_.emplace(vni, pod_namespace);
  if (!fresh)
    telemetry::warn("two namespaces share a VNI; --vxlan-vnis can give one of them another",
                    {{"vni", vni}, {"namespace", pod_namespace}, {"other", first->second}});
}

}  // namespace sidetap
