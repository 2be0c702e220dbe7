#include "webhook/injection/pod_resources.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "webhook/configuration/quantity.h"

namespace sidetap::injection {
namespace {

using admission::find;
using admission::Value;

constexpr std::array<std::string_view, 2> kResources = {"cpu", "memory"};

/// A quantity, written as text or as number; nothing when it is none.
std::optional<double> amount_of(const std::optional<Value>& value) {
  if (const auto text = admission::as_text(value)) return configuration::parse_quantity(*text);
  double number = 0;
  if (!value || value->get(number)) return std::nullopt;
  return number;
}

struct Sums {
  double requests = 0;
  double limits = 0;
  bool all_limited = true;  ///< Every container has a limit. One of zero counts as none.
};

void add(Value container, std::string_view resource, Sums& sums) {
  const auto resources = find(container, "resources");
  const double limit = amount_of(find(find(resources, "limits"), resource)).value_or(0);
  // The API server fills a missing request from the limit.
  const auto request = find(find(resources, "requests"), resource);
  sums.requests += request ? amount_of(request).value_or(0) : limit;
  sums.limits += limit;
  sums.all_limited = sums.all_limited && limit > 0;
}

bool is_guaranteed(const std::optional<Value>& spec, std::string_view resource) {
  Sums sums;
  const auto collect = [&](Value container) { add(container, resource, sums); };
  admission::each_element(find(spec, "containers"), collect);
  admission::each_element(find(spec, "initContainers"), collect);
  // Sums of halves and thirds differ in their last digits.
  return sums.all_limited && std::abs(sums.requests - sums.limits) <= 1e-9 * sums.limits;
}

}  // namespace

bool is_guaranteed(Value pod) {
  const auto spec = find(pod, "spec");
  return std::all_of(kResources.begin(), kResources.end(),
                     [&](std::string_view resource) { return is_guaranteed(spec, resource); });
}

bool has_pod_level(Value pod, std::string_view resource) {
  const auto resources = find(find(pod, "spec"), "resources");
  return find(find(resources, "requests"), resource) || find(find(resources, "limits"), resource);
}

}  // namespace sidetap::injection
