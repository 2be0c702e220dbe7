#include "sidecar/ownership/tapped_peers.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sidetap::ownership {

TappedPeers TappedPeers::all(std::span<const net::Cidr> pod_subnets) {
  return {.prefixes = net::CidrSet(pod_subnets)};
}

TappedPeers TappedPeers::list(std::span<const net::CidrSet::Rule> rules) {
  std::vector<net::CidrSet::Rule> hosts;
  std::copy_if(rules.begin(), rules.end(), std::back_inserter(hosts),
               [](const net::CidrSet::Rule& rule) { return rule.prefix.length128() == 128; });
  return {.prefixes = net::CidrSet(rules), .hosts = net::CidrSet(hosts)};
}

TappedPeers TappedPeers::named(std::span<const net::IpAddress> hosts) {
  std::vector<net::Cidr> list;
  list.reserve(hosts.size());
  for (const net::IpAddress host : hosts) list.push_back(net::Cidr::host(host));
  return {.hosts = net::CidrSet(std::span<const net::Cidr>(list))};
}

PeerHistory::PeerHistory(std::shared_ptr<const TappedPeers> first) {
  sets_.reserve(kMostOlder + 2);
  sets_.push_back({std::move(first), Moment::min()});
}

void PeerHistory::add(PeersSince next) {
  std::erase_if(sets_, [&next](const PeersSince& set) { return set.since >= next.since; });
  sets_.push_back(std::move(next));
  if (sets_.size() > kMostOlder + 1) sets_.erase(sets_.begin());
}

void PeerHistory::forget_before(Moment moment) {
  // A set ends where the next one begins.
  while (has_older() && sets_[1].since <= moment) sets_.erase(sets_.begin());
}

const TappedPeers& PeerHistory::at(Moment moment) const {
  const auto found = std::find_if(sets_.rbegin(), sets_.rend(),
                                  [moment](const PeersSince& set) { return set.since <= moment; });
  return found != sets_.rend() ? *found->peers : *sets_.front().peers;
}

}  // namespace sidetap::ownership
