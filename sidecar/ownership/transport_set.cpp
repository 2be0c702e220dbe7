#include "sidecar/ownership/transport_set.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace sidetap::ownership {

TransportSet::TransportSet(std::span<const net::TransportAddress> members)
    : members_(members.begin(), members.end()) {
  std::sort(members_.begin(), members_.end());
  members_.erase(std::unique(members_.begin(), members_.end()), members_.end());
  if (members_.empty()) return;
  places_.resize(std::bit_ceil(members_.size() + members_.size() / 2 + 1));
  for (std::size_t i = 0; i < members_.size(); ++i) {
    std::size_t place = place_of(members_[i]);
    while (places_[place] != 0) place = (place + 1) & (places_.size() - 1);
    places_[place] = static_cast<std::uint32_t>(i + 1);
  }
}

std::size_t TransportSet::place_of(const net::TransportAddress& member) const {
  std::uint64_t hash = std::hash<net::IpAddress>{}(member.address);
  hash = (hash ^ (std::uint64_t{member.protocol} << 16 | member.port)) * 0x9e3779b97f4a7c15ULL;
  return static_cast<std::size_t>(hash >> 32) & (places_.size() - 1);
}

bool TransportSet::contains(const net::TransportAddress& member) const {
  if (members_.empty()) return false;
  for (std::size_t place = place_of(member); places_[place] != 0;
       place = (place + 1) & (places_.size() - 1)) {
    if (members_[places_[place] - 1] == member) return true;
  }
  return false;
}

bool TransportSet::has_address(const net::IpAddress& address) const {
  const auto found =
      std::lower_bound(members_.begin(), members_.end(), net::TransportAddress{.address = address});
  return found != members_.end() && found->address == address;
}

PortSet::PortSet(std::span<const net::TransportAddress> members) : empty_(members.empty()) {
  std::array<std::shared_ptr<Ports>, kProtocols + 1> ports;
  for (const net::TransportAddress& member : members) {
    std::shared_ptr<Ports>& of_protocol = ports[kIndex[member.protocol]];
    if (!of_protocol) of_protocol = std::make_shared<Ports>();
    (*of_protocol)[member.port / 64] |= std::uint64_t{1} << member.port % 64;
  }
  ports.back().reset();
  std::copy(ports.begin(), ports.end(), ports_.begin());
}

}  // namespace sidetap::ownership
