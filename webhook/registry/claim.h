// The addresses that a tap claims, and which of them are proved. Pure.
//
// The connection itself proves its source address. Other addresses are proved if the API server
// knows them as the pod's. That is asked once and holds for the connection.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "shared/registry/messages.h"

namespace sidetap::webhook::registry {

class Claim {
 public:
  explicit Claim(std::optional<net::IpAddress> source) : source_(source) {}
  /// A claim whose addresses all count as proved, for a registry without tokens.
  static Claim of_anybody();

  void say(sidetap::registry::State state) { state_ = std::move(state); }
  /// Records that these addresses are the pod's.
  void prove(const std::vector<net::IpAddress>& addresses);
  /// Records that what is not proved now never will be.
  void give_up();

  bool forwarding() const { return state_.forwarding; }
  /// Whether only the tap still runs in the pod, and it no longer forwards.
  bool ended() const { return state_.ended && !state_.forwarding; }
  /// The proved addresses of the last state.
  std::vector<net::IpAddress> proved() const;
  std::size_t unproved() const { return state_.addresses.size() - proved().size(); }
  /// Whether the API server must be asked: peers would rely on an address whose owner is unknown.
  /// Never for a tap that does not forward.
  bool wants_proof() const;

 private:
  bool is_proved(const net::IpAddress& address) const;

  std::optional<net::IpAddress> source_;
  bool anybody_ = false;
  sidetap::registry::State state_;
  std::vector<net::IpAddress> known_, hopeless_;
};

}  // namespace sidetap::webhook::registry
