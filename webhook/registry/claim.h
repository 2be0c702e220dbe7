// Which addresses a tap says are its, and which of them are proved. Pure.
//
// Its connection's source is proved by the connection; others when the API server knows them as the
// pod's, which is asked once and holds for the connection.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "shared/registry/messages.h"

namespace sidetap::webhook::registry {

class Claim {
 public:
  explicit Claim(std::optional<net::IpAddress> source) : source_(source) {}
  /// Whatever is said is proved: there are no tokens.
  static Claim of_anybody();

  void say(sidetap::registry::State state) { state_ = std::move(state); }
  /// These are the pod's.
  void prove(const std::vector<net::IpAddress>& addresses);
  /// What is not proved now will not be.
  void give_up();

  bool forwarding() const { return state_.forwarding; }
  /// Of the pod nothing but the tap runs any more, and the tap forwards no more.
  bool ended() const { return state_.ended && !state_.forwarding; }
  /// Of what was said last.
  std::vector<net::IpAddress> proved() const;
  std::size_t unproved() const { return state_.addresses.size() - proved().size(); }
  /// Peers would count on an address of which it is not known whose it is. Of a tap that does not
  /// forward nobody has to ask.
  bool wants_proof() const;

 private:
  bool is_proved(const net::IpAddress& address) const;

  std::optional<net::IpAddress> source_;
  bool anybody_ = false;
  sidetap::registry::State state_;
  std::vector<net::IpAddress> known_, hopeless_;
};

}  // namespace sidetap::webhook::registry
