#include "sidecar/ownership/service_views.h"

#include <algorithm>

namespace sidetap::ownership {
namespace {

/// The Services whose views are dropped.
struct Dropped {
  enum class Which : std::uint8_t { kNone, kAll, kListed };
  Which which;
  const net::CidrSet* list = nullptr;  ///< Of kListed.
};

Dropped dropped(ServiceView view, const TappedPeers& tapped) {
  switch (view) {
    case ServiceView::kNever:
      return {Dropped::Which::kAll};
    case ServiceView::kAlways:
      return {Dropped::Which::kNone};
    case ServiceView::kAuto:
      break;
  }
  if (tapped.tapped_services) return {Dropped::Which::kListed, &*tapped.tapped_services};
  return {tapped.empty() ? Dropped::Which::kNone : Dropped::Which::kAll};
}

/// Whether the list has this prefix or a wider one.
bool covers(const std::vector<net::Cidr>& list, const net::Cidr& prefix) {
  return std::any_of(list.begin(), list.end(), [&](const net::Cidr& wide) {
    return wide.contains(prefix.first()) && wide.length128() <= prefix.length128();
  });
}

}  // namespace

bool keeps_view(ServiceView view, const TappedPeers& tapped, net::IpAddress service) {
  const Dropped all = dropped(view, tapped);
  return all.which == Dropped::Which::kListed ? !all.list->contains(service)
                                              : all.which == Dropped::Which::kNone;
}

std::vector<net::Cidr> dropped_views(ServiceView view, const TappedPeers& tapped,
                                     const std::vector<net::Cidr>& subnets,
                                     const std::vector<net::Cidr>& untapped) {
  const Dropped all = dropped(view, tapped);
  if (all.which == Dropped::Which::kNone) return {};
  const auto has_subnets = [&subnets](bool v4) {
    return std::any_of(subnets.begin(), subnets.end(),
                       [v4](const net::Cidr& subnet) { return subnet.is_v4() == v4; });
  };
  const bool restricted_v4 = has_subnets(true);
  const bool restricted_v6 = has_subnets(false);
  std::vector<net::CidrSet::Rule> rules;
  for (const net::Cidr& prefix :
       all.which == Dropped::Which::kListed ? all.list->prefixes() : subnets) {
    // An address outside the Service subnets is not a Service.
    if ((prefix.is_v4() ? restricted_v4 : restricted_v6) && !covers(subnets, prefix)) continue;
    if (!covers(untapped, prefix)) rules.push_back({prefix, true});
  }
  for (const net::Cidr& prefix : untapped) rules.push_back({prefix, false});
  return net::CidrSet(rules).prefixes();
}

}  // namespace sidetap::ownership
