#include "sidecar/registry/settled_peers.h"

#include <algorithm>
#include <utility>

namespace sidetap::registry {

bool SettledPeers::update(const PeerView& view, const std::vector<net::IpAddress>& own, Time time) {
  Settling::Addresses listed = view.peers();
  // This tap is not its own peer: if only this pod is listed, no peer is tapped.
  std::erase_if(listed, [&own](net::IpAddress address) {
    return std::find(own.begin(), own.end(), address) != own.end();
  });
  Peers peers{peers_.update(listed, now_ ? now_->tapped : Settling::Addresses(), time),
              view.services()};
  const bool had_services = now_ && now_->services;
  const Settling::Addresses hidden =
      services_.update(peers.services.value_or(Settling::Addresses()),
                       had_services ? *now_->services : Settling::Addresses(), time);
  if (peers.services) peers.services = hidden;
  if (now_ && *now_ == peers) return false;
  now_ = std::make_shared<const Peers>(std::move(peers));
  return true;
}

std::optional<SettledPeers::Time> SettledPeers::due() const {
  const auto peers = peers_.due();
  const auto services = services_.due();
  if (!peers || !services) return peers ? peers : services;
  return std::min(*peers, *services);
}

}  // namespace sidetap::registry
