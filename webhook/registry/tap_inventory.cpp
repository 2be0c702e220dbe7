#include "webhook/registry/tap_inventory.h"

#include <utility>

#include "webhook/registry/wall_clock.h"

namespace sidetap::webhook::registry {

TapInventory::TapInventory(boost::asio::any_io_executor executor, Figures& figures,
                           std::chrono::milliseconds pace)
    : figures_(figures), pace_(pace), timer_(std::move(executor)) {}

void TapInventory::start() {
  timer_.expires_after(pace_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopping_) tick();
  });
}

void TapInventory::tick() {
  taps_.expire(wall_time());
  figures_.count(taps_);
  start();
}

void TapInventory::stop() {
  stopping_ = true;
  timer_.cancel();
}

void TapInventory::stated(const Connection& tap) {
  const kube::TokenIdentity& who = tap.identity;
  taps_.stated(tap.session->id(), {who.name_space, who.pod_name, who.pod_uid, who.node_name},
               tap.claim.proved(), tap.claim.forwarding(), tap.rules, wall_time());
}

void TapInventory::ordered(ConnectionId connection, inventory::Orders orders) {
  taps_.ordered(connection, std::move(orders));
}

void TapInventory::reported(ConnectionId connection, sidetap::registry::Report report) {
  taps_.reported(connection, std::move(report), wall_time());
}

void TapInventory::ended(ConnectionId connection) { taps_.ended(connection, wall_time()); }

}  // namespace sidetap::webhook::registry
