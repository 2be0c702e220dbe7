// An inventory of invented taps for the tests of the page.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "webhook/identity/ledger.h"
#include "webhook/inventory/inventory.h"
#include "webhook/registry/service_table.h"
#include "webhook/registry/view.h"

namespace sidetap::webhook::page {

inline inventory::Time second(std::int64_t number) {
  return inventory::Time(std::chrono::hours(480'000)) + std::chrono::seconds(number);
}

/// The page is looked at in second 20.
class PageView {
 public:
  static constexpr std::uint64_t kGeneration = 7;

  /// A tap that connects in second 0, and its connection. The UID is the pod's name.
  identity::ConnectionId connect(const std::string& pod, bool forwarding,
                                 const std::string& name_space = "shop") {
    const identity::ConnectionId connection = ++last_;
    inventory.stated(connection, {name_space, pod, name_space + pod, "node-1"},
                     {net::IpAddress::v4(0x0a000000U + static_cast<std::uint32_t>(connection))},
                     forwarding, 2, second(0));
    return connection;
  }
  /// Says in seconds 10 and 20 what `report` says, with counts that grow from nothing.
  void tell(identity::ConnectionId connection, const sidetap::registry::Report& report) {
    sidetap::registry::Report before = report;
    before.counts = {};
    before.lost.clear();
    inventory.reported(connection, before, second(10));
    inventory.reported(connection, report, second(20));
  }
  registry::View view() const { return {inventory, ledger, services, kGeneration}; }

  static sidetap::registry::Report report(const std::string& sensor = "10.0.0.9:2002",
                                          const std::string& state = "capturing",
                                          const std::string& reason = "") {
    sidetap::registry::Report told;
    told.release = "1.0.0";
    told.generation = kGeneration;
    told.interfaces = {{"eth0", true}};
    told.sensors = {{sensor, state, reason}};
    told.counts.seen = 1'000;
    told.counts.seen_bytes = 50'000;
    told.counts.forwarded = 500;
    told.counts.forwarded_bytes = 20'000;
    return told;
  }

  inventory::Inventory inventory{};
  identity::Ledger ledger{identity::LedgerConfig{}};
  const registry::ServiceTable* services = nullptr;

 private:
  identity::ConnectionId last_ = 0;
};

}  // namespace sidetap::webhook::page
