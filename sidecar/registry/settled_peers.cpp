#include "sidecar/registry/settled_peers.h"

#include <algorithm>
#include <utility>

namespace sidetap::registry {
namespace {

SettlingDelays late_additions(std::chrono::milliseconds delay) { return {.additions = delay}; }
SettlingDelays late_removals(std::chrono::milliseconds delay) { return {.removals = delay}; }

}  // namespace

SettledPeers::SettledPeers(std::chrono::milliseconds delay)
    : tapped_(late_additions(delay)),
      older_(late_removals(delay)),
      services_(late_additions(delay)),
      nodes_(late_additions(delay)),
      client_owned_here_(late_additions(delay)),
      client_owned_elsewhere_(late_removals(delay)),
      front_ends_(late_additions(delay)),
      former_server_ports_(SettlingDelays{.additions = delay, .removals = delay}) {}

bool SettledPeers::update(const PeerView& view, const Addresses& own, Time time) {
  const CombinedLists& lists = view.lists();
  bool changed = !now_ || own != own_ || lists.server_ports != seen_.server_ports ||
                 lists.knows_services != seen_.knows_services;
  separate(lists, own);
  const auto settle = [&](auto& settling, const auto& list) {
    changed = settling.update(list, time) || changed;
  };
  settle(tapped_, others_);
  settle(older_, lists.older);
  settle(services_, lists.services);
  settle(nodes_, lists.nodes);
  settle(client_owned_here_, own_endpoints_);
  settle(client_owned_elsewhere_, lists.client_owned_by_any);
  settle(front_ends_, lists.front_ends);
  settle(former_server_ports_, lists.server_ports);
  if (!changed) return false;
  Peers peers = compose();
  if (now_ && *now_ == peers) return false;
  now_ = std::make_shared<const Peers>(std::move(peers));
  return true;
}

void SettledPeers::separate(const CombinedLists& lists, const Addresses& own) {
  const bool moved = own != own_;
  const bool other_taps = moved || lists.taps != seen_.taps;
  const bool other_endpoints = moved || lists.client_owned_by_all != seen_.client_owned_by_all;
  if (moved) own_ = own;
  seen_ = lists;
  if (other_taps) {
    // This tap is not its own peer: if only this pod is listed, no peer is tapped.
    Addresses others = *lists.taps;
    std::erase_if(others, [this](const net::IpAddress& address) { return is_own(address); });
    others_ = shared_list(std::move(others));
  }
  if (other_endpoints) {
    TransportAddresses endpoints = *lists.client_owned_by_all;
    std::erase_if(endpoints, [this](const auto& endpoint) { return !is_own(endpoint.address); });
    own_endpoints_ = shared_list(std::move(endpoints));
  }
}

bool SettledPeers::is_own(const net::IpAddress& address) const {
  return std::find(own_.begin(), own_.end(), address) != own_.end();
}

Peers SettledPeers::compose() const {
  Peers peers;
  peers.tapped = *tapped_.list();
  peers.older = common(*older_.list(), peers.tapped);
  if (seen_.knows_services) peers.services = *services_.list();
  peers.nodes = *nodes_.list();
  TransportAddresses elsewhere = *client_owned_elsewhere_.list();
  std::erase_if(elsewhere, [this](const auto& endpoint) { return is_own(endpoint.address); });
  peers.client_owned = united(elsewhere, *client_owned_here_.list());
  peers.front_ends = *front_ends_.list();
  peers.server_ports = *seen_.server_ports;
  const TransportAddresses& former = *former_server_ports_.list();
  if (former != peers.server_ports) peers.former_server_ports = former;
  return peers;
}

std::optional<SettledPeers::Time> SettledPeers::due() const {
  std::optional<Time> first;
  for (const std::optional<Time>& each :
       {tapped_.due(), older_.due(), services_.due(), nodes_.due(), client_owned_here_.due(),
        client_owned_elsewhere_.due(), front_ends_.due(), former_server_ports_.due()}) {
    if (each && (!first || *each < *first)) first = each;
  }
  return first;
}

}  // namespace sidetap::registry
