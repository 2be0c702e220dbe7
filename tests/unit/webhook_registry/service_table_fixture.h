// A table of Services for tests, with addresses given by numbers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/addresses.h"
#include "webhook/registry/service_table.h"

namespace sidetap::webhook::registry {

using Addresses = std::vector<net::IpAddress>;

inline net::IpAddress pod(unsigned n) { return net::IpAddress::v4(0x0a000000U + n); }
inline net::IpAddress vip(unsigned n) { return net::IpAddress::v4(0x0a600000U + n); }

inline Endpoint unready(unsigned n) { return {pod(n), false, false}; }
inline Endpoint terminating(unsigned n) { return {pod(n), false, true}; }

inline SliceFacts slice(std::string name, std::string service, std::vector<Endpoint> endpoints) {
  return {.name = std::move(name),
          .service = std::move(service),
          .v4 = true,
          .v6 = false,
          .endpoints = std::move(endpoints)};
}
inline SliceFacts slice(std::string name, std::string service, const Addresses& ready) {
  std::vector<Endpoint> endpoints;
  for (const auto& address : ready) endpoints.push_back({address});
  return slice(std::move(name), std::move(service), std::move(endpoints));
}
using Endpoints = std::vector<Endpoint>;

class ServiceTableTest : public testing::Test {
 protected:
  void SetUp() override { table_.set_current(true); }
  void tap(Addresses add, Addresses remove = {}) { table_.taps_changed({add, remove}); }
  Addresses published() {
    table_.flush();
    return {table_.published().begin(), table_.published().end()};
  }
  ServiceTable table_;
};

}  // namespace sidetap::webhook::registry
