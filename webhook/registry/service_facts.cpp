#include "webhook/registry/service_facts.h"

#include <algorithm>

#include "shared/json_members.h"

namespace sidetap::webhook::registry {
namespace {

using nlohmann::json;

std::optional<net::IpAddress> address_of(const json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto address = net::IpAddress::parse(value.get_ref<const std::string&>());
  if (!address) return std::nullopt;
  return *address;
}

/// Empty if it has none.
ObjectName name_of(const json& metadata, const std::string& name) {
  const std::string space = text_of(metadata, "namespace");
  return space.empty() || name.empty() ? ObjectName() : space + "/" + name;
}

void read_endpoint(const json& endpoint, SliceFacts& facts) {
  const json& conditions = member(endpoint, "conditions");
  const json& ready = member(conditions, "ready");
  const json& terminating = member(conditions, "terminating");
  Endpoint one;
  one.ready = !ready.is_boolean() || ready.get<bool>();
  one.terminating = terminating.is_boolean() && terminating.get<bool>();
  const json& addresses = member(endpoint, "addresses");
  facts.unreadable |= !addresses.is_array() || addresses.empty();
  for (const json& item : addresses) {
    const auto address = address_of(item);
    // Excludes host names, and addresses of another family than the slice's.
    if (address && (address->is_v4() ? facts.v4 && !facts.v6 : facts.v6 && !facts.v4)) {
      one.address = *address;
      facts.endpoints.push_back(one);
    } else {
      facts.unreadable = true;
    }
  }
}

}  // namespace

std::optional<ServiceFacts> read_service(const json& object) {
  const json& metadata = member(object, "metadata");
  ServiceFacts facts{name_of(metadata, text_of(metadata, "name")), {}};
  if (facts.name.empty()) return std::nullopt;
  const json& spec = member(object, "spec");
  // "None" (headless) and "" (ExternalName) are not addresses.
  const json& several = member(spec, "clusterIPs");
  if (several.is_array() && !several.empty()) {
    for (const json& item : several) {
      const auto address = address_of(item);
      auto& all = facts.addresses;
      if (address && std::find(all.begin(), all.end(), *address) == all.end())
        all.push_back(*address);
    }
  } else if (const auto address = address_of(member(spec, "clusterIP"))) {
    facts.addresses.push_back(*address);
  }
  return facts;
}

std::optional<SliceFacts> read_slice(const json& object) {
  const json& metadata = member(object, "metadata");
  SliceFacts facts;
  facts.name = name_of(metadata, text_of(metadata, "name"));
  facts.service =
      name_of(metadata, text_of(member(metadata, "labels"), "kubernetes.io/service-name"));
  if (facts.name.empty() || facts.service.empty()) return std::nullopt;
  const std::string type = text_of(object, "addressType");
  facts.v4 = type != "IPv6";
  facts.v6 = type != "IPv4";
  for (const json& endpoint : member(object, "endpoints")) read_endpoint(endpoint, facts);
  return facts;
}

}  // namespace sidetap::webhook::registry
