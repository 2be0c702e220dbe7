#include "sidecar/tap/interface_choice.h"

#include <algorithm>
#include <utility>

#include <net/if.h>

#include "shared/net/distinct.h"
#include "shared/telemetry/log.h"

namespace sidetap {
namespace {

/// A device may have several names (ip link property add altname). If it were captured twice, each
/// packet would be forwarded twice.
bool is_one_device(const std::string& a, const std::string& b) {
  const unsigned index = ::if_nametoindex(a.c_str());
  const bool same = a == b || (index != 0 && index == ::if_nametoindex(b.c_str()));
  if (same)
    telemetry::warn("two names for one interface; it is captured once",
                    {{"interface", a}, {"other_name", b}});
  return same;
}

bool holds_address_of_pod(const net::Interface& interface, const RunOptions& options) {
  const auto& pod_ips = options.ownership.pod_ips;
  return std::any_of(
      interface.addresses.begin(), interface.addresses.end(), [&](const auto& entry) {
        return std::find(pod_ips.begin(), pod_ips.end(), entry.address) != pod_ips.end();
      });
}

}  // namespace

std::vector<std::string> choose_interfaces(const RunOptions& options,
                                           const std::vector<net::Interface>& interfaces) {
  if (!options.interfaces.empty()) return net::distinct(options.interfaces, is_one_device);
  std::vector<std::string> holding;
  std::string other;
  for (const net::Interface& interface : interfaces) {
    if (holds_address_of_pod(interface, options)) holding.push_back(interface.name);
    const bool loopback =
        std::all_of(interface.addresses.begin(), interface.addresses.end(),
                    [](const auto& address) { return address.address.is_loopback(); });
    if (other.empty() && !loopback) other = interface.name;
  }
  if (holding.empty()) holding.push_back(other.empty() ? "eth0" : other);
  return holding;
}

Result<void> check_output_interface(const RunOptions& options,
                                    const std::vector<std::string>& captured,
                                    const std::vector<net::Interface>& interfaces) {
  if (options.output.kind != OutputKind::kInterface) return {};
  const std::string& name = options.output.interface.name;
  const unsigned index = ::if_nametoindex(name.c_str());  // also by another name of the device
  for (const std::string& each : captured) {
    if (each == name || (index != 0 && index == ::if_nametoindex(each.c_str())))
      return Error{"--output-interface " + name + ": is itself captured"};
  }
  for (const net::Interface& interface : interfaces) {
    if (interface.index != index) continue;
    for (const net::InterfaceAddress& each : interface.addresses) {
      if (!each.address.is_link_local())
        return Error{"--output-interface " + name + ": has the address " +
                     each.address.to_string() +
                     "; name an interface without addresses that leads only to the sensor"};
    }
  }
  return {};
}

const net::Interface* find_interface(const std::vector<net::Interface>& interfaces,
                                     const std::string& name) {
  const auto found = std::find_if(interfaces.begin(), interfaces.end(),
                                  [&](const auto& interface) { return interface.name == name; });
  return found == interfaces.end() ? nullptr : &*found;
}

}  // namespace sidetap
