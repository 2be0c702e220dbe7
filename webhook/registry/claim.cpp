#include "webhook/registry/claim.h"

#include <algorithm>
#include <iterator>

namespace sidetap::webhook::registry {
namespace {

bool contains(const std::vector<net::IpAddress>& list, const net::IpAddress& address) {
  return std::find(list.begin(), list.end(), address) != list.end();
}

}  // namespace

Claim Claim::of_anybody() {
  Claim claim(std::nullopt);
  claim.anybody_ = true;
  return claim;
}

bool Claim::is_proved(const net::IpAddress& address) const {
  return anybody_ || address == source_ || contains(known_, address);
}

void Claim::prove(const std::vector<net::IpAddress>& addresses) { known_ = addresses; }

void Claim::give_up() {
  // What it does not claim any more is forgotten, so that there are no more than it may claim.
  std::erase_if(hopeless_,
                [this](const auto& address) { return !contains(state_.addresses, address); });
  std::copy_if(
      state_.addresses.begin(), state_.addresses.end(), std::back_inserter(hopeless_),
      [this](const auto& address) { return !is_proved(address) && !contains(hopeless_, address); });
}

std::vector<net::IpAddress> Claim::proved() const {
  std::vector<net::IpAddress> proved;
  std::copy_if(state_.addresses.begin(), state_.addresses.end(), std::back_inserter(proved),
               [this](const auto& address) { return is_proved(address); });
  return proved;
}

bool Claim::wants_proof() const {
  return state_.forwarding &&
         std::any_of(state_.addresses.begin(), state_.addresses.end(), [this](const auto& address) {
           return !is_proved(address) && !contains(hopeless_, address);
         });
}

}  // namespace sidetap::webhook::registry
