#include "sidecar/tap/pod_addresses.h"

#include <algorithm>
#include <utility>

#include "shared/telemetry/log.h"
#include "sidecar/tap/interface_choice.h"

namespace sidetap {
namespace {

std::string list_text(const std::vector<net::IpAddress>& addresses) {
  std::string list;
  for (const net::IpAddress address : addresses)
    list += (list.empty() ? "" : ",") + address.to_string();
  return list;
}

}  // namespace

PodAddresses::PodAddresses(const boost::asio::any_io_executor& executor,
                           const OwnershipOptions& options, std::function<void()> changed)
    : options_(options), changed_(std::move(changed)), watch_(executor, [this] {
        for (CaptureLoop* loop : loops_) loop->look_again();
        renew();
      }) {}

Result<void> PodAddresses::start() {
  // Start the watch before reading the addresses, so that no change is missed.
  if (auto watched = watch_.start(); !watched)
    telemetry::warn("cannot watch the pod's addresses and gateways; polling them once a second",
                    {{"reason", watched.error().text}});
  auto interfaces = net::list_interfaces();
  if (!interfaces) return interfaces.error();
  interfaces_ = std::move(*interfaces);
  gateways_ = net::default_gateways();
  return {};
}

bool PodAddresses::is_own(const net::IpAddress& address) const {
  if (address.is_loopback()) return false;
  const ownership::Self self = make_self(options_, interfaces_, {});
  return std::find(self.addresses.begin(), self.addresses.end(), address) != self.addresses.end();
}

void PodAddresses::renew() {
  renew_gateways();
  if (auto now = net::list_interfaces()) {
    for (CaptureLoop* loop : loops_) renew_capture(*loop, *now);
    interfaces_ = std::move(*now);
  } else {
    telemetry::warn("cannot list the interfaces; keeping the old addresses",
                    {{"reason", now.error().text}});
  }
  changed_();
}

void PodAddresses::renew_capture(CaptureLoop& loop, const std::vector<net::Interface>& now) const {
  const net::Interface* const found = find_interface(now, loop.name());
  if (found == nullptr) return;
  loop.set_mtu(found->mtu);
  const net::Interface* const before = find_interface(interfaces_, loop.name());
  ownership::Self self = make_self(options_, now, loop.name());
  const bool same = self == make_self(options_, interfaces_, loop.name());
  if (same && before != nullptr && *found == *before) return;
  if (!same)
    telemetry::info("the pod's addresses have changed",
                    {{"interface", loop.name()}, {"addresses", list_text(self.addresses)}});
  loop.set_self(std::move(self));
}

void PodAddresses::renew_gateways() {
  auto gateways = net::default_gateways();
  if (gateways == gateways_) return;
  gateways_ = std::move(gateways);
  for (CaptureLoop* loop : loops_) loop->set_gateways(gateways_);
  telemetry::info("the pod's gateways have changed", {{"gateways", list_text(gateways_)}});
}

}  // namespace sidetap
