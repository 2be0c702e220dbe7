// A table of Services for tests, with addresses given by numbers.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/addresses.h"
#include "webhook/registry/service_table.h"

namespace sidetap::webhook::registry {

using Addresses = std::vector<net::IpAddress>;
using TransportAddresses = std::vector<net::TransportAddress>;
using TransportSet = std::set<net::TransportAddress>;

inline net::IpAddress pod(unsigned n) { return net::IpAddress::v4(0x0a000000U + n); }
inline net::IpAddress vip(unsigned n) { return net::IpAddress::v4(0x0a600000U + n); }
inline net::IpAddress node(unsigned n) { return net::IpAddress::v4(0xac120000U + n); }

inline TransportPort tcp(std::uint16_t port) { return {6, port}; }
inline TransportPort udp(std::uint16_t port) { return {17, port}; }
inline net::TransportAddress at(const net::IpAddress& address, const TransportPort& port) {
  return {address, port.protocol, port.port};
}

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

/// What somebody knows who hears all changes.
class Listener {
 public:
  void hear(const sidetap::registry::Change& change) {
    take(change.add.services, change.remove.services, services_);
    take(change.add.nodes, change.remove.nodes, nodes_);
    take(change.add.client_owned, change.remove.client_owned, client_owned_);
    take(change.add.server_ports, change.remove.server_ports, server_ports_);
    take(change.add.front_ends, change.remove.front_ends, front_ends_);
  }
  sidetap::registry::Lists knows() const {
    sidetap::registry::Lists lists;
    lists.services.assign(services_.begin(), services_.end());
    lists.nodes.assign(nodes_.begin(), nodes_.end());
    lists.client_owned.assign(client_owned_.begin(), client_owned_.end());
    lists.server_ports.assign(server_ports_.begin(), server_ports_.end());
    lists.front_ends.assign(front_ends_.begin(), front_ends_.end());
    return lists;
  }

 private:
  template <typename T>
  static void take(const std::vector<T>& add, const std::vector<T>& remove, std::set<T>& into) {
    for (const T& item : add) EXPECT_TRUE(into.insert(item).second);
    for (const T& item : remove) EXPECT_EQ(into.erase(item), 1U);
  }
  std::set<net::IpAddress> services_, nodes_;
  TransportSet client_owned_, server_ports_, front_ends_;
};

class ServiceTableTest : public testing::Test {
 protected:
  void SetUp() override {
    table_.set_current(true);
    table_.set_nodes_current(true);
  }
  void tap(Addresses add, Addresses remove = {}) { table_.taps_changed({add, remove}); }
  /// A Service NAME with one cluster IP, and its only slice with ready endpoints at these ports.
  void serve(const std::string& name, unsigned cluster_ip, const Addresses& ready,
             std::vector<TransportPort> ports = {tcp(80)}) {
    table_.set({name, {vip(cluster_ip)}});
    endpoints(name, ready, std::move(ports));
  }
  void endpoints(const std::string& name, const Addresses& ready,
                 std::vector<TransportPort> ports = {tcp(80)}) {
    SliceFacts facts = slice(name + "-1", name, ready);
    facts.ports = std::move(ports);
    table_.set(facts);
  }
  void flush() {
    sidetap::registry::Change change;
    table_.flush(change);
  }
  Addresses published() {
    flush();
    return {table_.services().begin(), table_.services().end()};
  }
  TransportAddresses client_owned() {
    flush();
    return {table_.client_owned().begin(), table_.client_owned().end()};
  }
  TransportAddresses front_ends() {
    flush();
    return {table_.front_ends().begin(), table_.front_ends().end()};
  }
  ServiceTable table_;
};

}  // namespace sidetap::webhook::registry
