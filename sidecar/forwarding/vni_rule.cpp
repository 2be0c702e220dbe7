#include "sidecar/forwarding/vni_rule.h"

#include <algorithm>
#include <cstddef>

#include "shared/fnv1a.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kMostOfName = 63;

bool may_be_in_namespace(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

}  // namespace

bool is_namespace(std::string_view text) {
  return !text.empty() && text.size() <= kMostOfName &&
         std::all_of(text.begin(), text.end(), may_be_in_namespace);
}

std::uint32_t derived_vni(std::string_view pod_namespace) {
  Fnv1a32 hash;
  hash.add(pod_namespace);
  return kFirstDerivedVni + hash.value() % (kMostVni + 1 - kFirstDerivedVni);
}

std::uint32_t VniRule::of(std::string_view pod_namespace) const {
  if (!by_namespace || !is_namespace(pod_namespace)) return otherwise;
  const auto found = configured.find(pod_namespace);
  return found == configured.end() ? derived_vni(pod_namespace) : found->second;
}

}  // namespace sidetap::forwarding
