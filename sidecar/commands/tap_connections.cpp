#include "sidecar/commands/tap_connections.h"

#include <algorithm>
#include <utility>

namespace sidetap {

TapConnections::TapConnections(std::vector<net::IpAddress> pod, std::vector<Place> places)
    : pod_(std::move(pod)), places_(std::move(places)) {}

bool TapConnections::set_ports(std::vector<std::uint16_t> ports) {
  if (ports == ports_) return false;
  ports_ = std::move(ports);
  return true;
}

bool TapConnections::include(const capture::PacketView& packet) const {
  if (packet.depth != capture::Depth::kTransport) return false;
  if (const auto& quote = packet.quote)
    return quote->has_ports && is_one(quote->protocol, {quote->source, quote->source_port},
                                      {quote->destination, quote->destination_port});
  return is_one(packet.protocol, {packet.source, packet.source_port},
                {packet.destination, packet.destination_port});
}

bool TapConnections::is_one(std::uint8_t protocol, const Place& from, const Place& to) const {
  const bool may_be = protocol == static_cast<std::uint8_t>(capture::IpProtocol::kTcp) ||
                      protocol == static_cast<std::uint8_t>(capture::IpProtocol::kUdp);
  return may_be && (is_between(from, to) || is_between(to, from));
}

bool TapConnections::is_between(const Place& local, const Place& remote) const {
  return is_pods(local.address) &&
         (std::binary_search(ports_.begin(), ports_.end(), local.port) ||
          std::find(places_.begin(), places_.end(), remote) != places_.end());
}

bool TapConnections::is_pods(net::IpAddress address) const {
  return address.is_loopback() || std::find(pod_.begin(), pod_.end(), address) != pod_.end();
}

std::vector<capture::OwnEndpoint> TapConnections::endpoints() const {
  std::vector<capture::OwnEndpoint> endpoints;
  for (const net::IpAddress address : pod_) {
    for (const auto protocol : {capture::IpProtocol::kTcp, capture::IpProtocol::kUdp}) {
      for (const std::uint16_t port : ports_)
        endpoints.push_back({.protocol = protocol,
                             .local = address,
                             .local_port = port,
                             .remote = {},
                             .remote_port = 0});
      for (const Place& place : places_) {
        if (place.address.is_v4() != address.is_v4()) continue;
        endpoints.push_back({.protocol = protocol,
                             .local = address,
                             .local_port = 0,
                             .remote = place.address,
                             .remote_port = place.port,
                             .every_local_port = true});
      }
    }
  }
  return endpoints;
}

}  // namespace sidetap
