// Keeps the inventory of taps by the real clock: what their connections say goes in, and metrics
// come out.
#pragma once

#include <chrono>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/registry/messages.h"
#include "webhook/inventory/inventory.h"
#include "webhook/registry/connection.h"
#include "webhook/registry/metrics.h"

namespace sidetap::webhook::registry {

/// Use it on the executor's thread, or before the executor runs.
class TapInventory {
 public:
  /// `figures` must outlive this object.
  TapInventory(boost::asio::any_io_executor executor, Figures& figures,
               std::chrono::milliseconds pace = std::chrono::milliseconds(1'000));

  void start();
  /// Ends the timer, so that the executor runs out of work.
  void stop();

  /// The tap has said hello or a new state, or has proved more of its addresses.
  void stated(const Connection& tap);
  void ordered(ConnectionId connection, inventory::Orders orders);
  void reported(ConnectionId connection, sidetap::registry::Report report);
  void ended(ConnectionId connection);

  const inventory::Inventory& taps() const { return taps_; }

 private:
  void tick();

  Figures& figures_;
  const std::chrono::milliseconds pace_;
  inventory::Inventory taps_;
  bool stopping_ = false;
  boost::asio::steady_timer timer_;
};

}  // namespace sidetap::webhook::registry
