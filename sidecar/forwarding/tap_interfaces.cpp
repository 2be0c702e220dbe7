#include "sidecar/forwarding/tap_interfaces.h"

#include <algorithm>

namespace sidetap::forwarding {
namespace {

// Kubernetes allows 63 characters for a namespace and 253 for a pod, Linux 15 for an interface.
constexpr std::size_t kMostOfPart = 255;

PodLabel pod_of_tap(const TapIdentity& tap) {
  const std::size_t slash = tap.description.find('/');
  const std::size_t name_at = slash == std::string::npos ? 0 : slash + 1;
  return {.name = tap.description.substr(name_at, kMostOfPart),
          .space = tap.pod_namespace().substr(0, kMostOfPart),
          .node = {}};
}

/// Others mean the same address on every pod.
bool is_of_one_pod(const net::IpAddress& address) {
  return !address.is_unspecified() && !address.is_loopback() && !address.is_link_local() &&
         !address.is_multicast();
}

InterfaceLabel label_of_tap(const TapIdentity& tap, const PodLabel& pod) {
  const std::string interface = tap.interface.substr(0, kMostOfPart);
  if (!pod.name.empty()) return label_of(pod, interface);
  return {.name = tap.from.to_string() + " " + interface, .description = {}};
}

/// Texts of taps are printable, so a line end is in none.
std::string label_key(const InterfaceLabel& label) { return label.name + "\n" + label.description; }

}  // namespace

std::optional<std::uint32_t> TapInterfaces::find(std::uint32_t origin) {
  if (last_ && last_->first == origin) return last_->second;
  const auto found = by_origin_.find(origin);
  if (found == by_origin_.end()) return std::nullopt;
  last_.emplace(origin, found->second);
  return found->second;
}

TapInterfaces::Newcomer TapInterfaces::meet(std::uint32_t origin) const {
  const std::shared_ptr<const TapIdentity> tap = identities_->find(origin);
  const PodLabel pod = tap ? pod_of_tap(*tap) : PodLabel();
  Newcomer newcomer;
  newcomer.label = tap ? label_of_tap(*tap, pod)
                       : InterfaceLabel{.name = "tap " + std::to_string(origin), .description = {}};
  std::vector<net::IpAddress> there;
  const auto before = by_label_.find(label_key(newcomer.label));
  if (before != by_label_.end()) {
    newcomer.interface = before->second;
    there = named_[before->second];
  }
  if (!tap) return newcomer;

  std::vector<net::IpAddress> fresh;
  for (const net::IpAddress& address : tap->addresses) {
    if (there.size() >= kMostAddresses) break;
    if (!is_of_one_pod(address)) continue;
    if (std::find(there.begin(), there.end(), address) != there.end()) continue;
    there.push_back(address);
    fresh.push_back(address);
  }
  newcomer.names = names_of(pod, fresh);
  return newcomer;
}

std::uint32_t TapInterfaces::add(std::uint32_t origin, const Newcomer& newcomer) {
  const auto interface = newcomer.interface.value_or(static_cast<std::uint32_t>(named_.size()));
  if (!newcomer.interface) {
    named_.emplace_back();
    by_label_.emplace(label_key(newcomer.label), interface);
  }
  for (const NamedAddress& each : newcomer.names) named_[interface].push_back(each.address);
  if (by_origin_.size() >= kMostOrigins) by_origin_.clear();
  by_origin_[origin] = interface;
  last_.emplace(origin, interface);
  return interface;
}

void TapInterfaces::clear() {
  by_origin_.clear();
  by_label_.clear();
  named_.clear();
  last_.reset();
}

}  // namespace sidetap::forwarding
