#include "sidecar/peer_feed.h"

#include <utility>

namespace sidetap {
namespace {

/// The registry tells changes once a second.
constexpr std::chrono::milliseconds kLeaveLimit{3'000};

registry::ClientConfig client_config(const RegistryOptions& options,
                                     const OwnershipOptions& ownership,
                                     const std::vector<CaptureLoop*>& loops) {
  registry::ClientConfig config;
  config.registry = *options.address;
  config.ca = options.ca;
  config.server_name = options.server_name;
  config.token_file = options.token_file;
  config.grace = std::chrono::milliseconds(options.grace_ms);
  config.addresses = ownership.pod_ips;
  if (!config.addresses.empty()) return config;
  for (CaptureLoop* loop : loops) {
    for (const auto& entry : loop->interface().addresses) {
      const auto& address = entry.address;
      if (address && !address->is_link_local() && !address->is_loopback())
        config.addresses.push_back(*address);
    }
  }
  return config;
}

}  // namespace

PeerFeed::PeerFeed(boost::asio::any_io_executor executor, const RegistryOptions& options,
                   const OwnershipOptions& ownership, std::vector<CaptureLoop*> loops,
                   telemetry::MetricsRegistry& metrics)
    : ownership_(ownership),
      loops_(std::move(loops)),
      client_(std::move(executor), client_config(options, ownership, loops_),
              {.resolve = {},
               .on_peers = [this](const auto& peers) { adopt(*peers); },
               .exclude =
                   [this](const std::string& owner,
                          const std::vector<capture::OwnEndpoint>& endpoints) {
                     for (CaptureLoop* loop : loops_) loop->exclude_own_traffic(owner, endpoints);
                   }},
              &metrics) {}

boost::asio::awaitable<void> PeerFeed::leave() { return client_.leave(kLeaveLimit); }

void PeerFeed::adopt(const std::vector<net::IpAddress>& peers) {
  std::vector<net::Cidr> hosts;
  hosts.reserve(peers.size());
  for (const net::IpAddress peer : peers) hosts.push_back(net::Cidr::host(peer));
  const auto tapped = std::make_shared<const ownership::TappedPeers>(
      ownership::TappedPeers::list(net::CidrSet(hosts)));
  // Whether the views of Services are dropped depends on whether anybody is tapped at all.
  OwnershipOptions now = ownership_;
  now.tapped_peers.kind =
      peers.empty() ? TappedPeersOption::Kind::kNone : TappedPeersOption::Kind::kList;
  const std::vector<net::Cidr> unowned = unowned_peers(now);
  for (CaptureLoop* loop : loops_) {
    loop->set_tapped_peers(tapped);
    loop->set_unowned_peers(unowned);
  }
}

}  // namespace sidetap
