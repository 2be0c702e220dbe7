#include "sidecar/tap/peer_feed.h"

#include <algorithm>
#include <utility>

namespace sidetap {
namespace {

/// The registry publishes changes once a second.
constexpr std::chrono::milliseconds kLeaveLimit{3'000};

constexpr std::size_t kMostFilteredPrefixes = 128;

registry::ClientConfig client_config(const RegistryOptions& options,
                                     std::function<Result<std::string>()> token) {
  registry::ClientConfig config;
  config.registry = *options.address;
  config.ca = options.ca;
  config.server_name = options.server_name;
  config.token_file = options.token_file;
  config.token = std::move(token);
  config.grace = std::chrono::milliseconds(options.grace_ms);
  config.ends_last = options.native_sidecar;
  config.control = options.control;
  if (!options.control.empty()) config.profile = options.profile;
  return config;
}

bool contains(const std::vector<net::IpAddress>& list, net::IpAddress address) {
  return std::find(list.begin(), list.end(), address) != list.end();
}

void add(std::vector<net::IpAddress>& list, net::IpAddress address) {
  if (!contains(list, address)) list.push_back(address);
}

}  // namespace

registry::Own own_addresses(const std::vector<net::Interface>& interfaces,
                            const std::vector<CapturedInterface>& captured,
                            const std::vector<net::IpAddress>& pod_ips) {
  registry::Own own;
  std::vector<net::IpAddress> elsewhere;
  for (const net::Interface& interface : interfaces) {
    const auto found = std::find_if(captured.begin(), captured.end(), [&](const auto& candidate) {
      return candidate.name == interface.name;
    });
    for (const net::InterfaceAddress& entry : interface.addresses) {
      const net::IpAddress address = entry.address;
      if (found == captured.end()) {
        elsewhere.push_back(address);
      } else if (!address.is_link_local() && !address.is_loopback()) {
        add(own.addresses, address);
        if (found->forwarding) add(own.forwarded, address);
      }
    }
  }
  const bool all = !captured.empty() &&
                   std::all_of(captured.begin(), captured.end(),
                               [](const CapturedInterface& each) { return each.forwarding; });
  for (const net::IpAddress address : pod_ips) {
    if (contains(elsewhere, address) || contains(own.addresses, address)) continue;
    add(own.addresses, address);
    if (all) add(own.forwarded, address);
  }
  return own;
}

PeerFeed::PeerFeed(boost::asio::any_io_executor executor, const RegistryOptions& options,
                   const OwnershipOptions& ownership, std::vector<CaptureLoop*> loops,
                   Exclusion& exclusion, telemetry::MetricsRegistry& metrics,
                   std::function<void(const registry::Settings&)> on_settings,
                   std::function<Result<std::string>()> token)
    : ownership_(ownership),
      loops_(std::move(loops)),
      client_(std::move(executor), client_config(options, std::move(token)),
              {.resolve = {},
               .on_peers = [this](const auto& peers) { adopt(*peers); },
               .on_first_word =
                   [this] {
                     for (CaptureLoop* loop : loops_) loop->know_peers();
                   },
               .on_relied_on =
                   [this](bool relied_on) {
                     for (CaptureLoop* loop : loops_) loop->set_relied_on(relied_on);
                   },
               .on_settings = std::move(on_settings),
               .exclude =
                   [&exclusion](const std::string& owner,
                                const std::vector<capture::OwnEndpoint>& endpoints) {
                     return exclusion.exclude(owner, endpoints);
                   }},
              &metrics) {}

boost::asio::awaitable<void> PeerFeed::leave() { return client_.leave(kLeaveLimit); }

void PeerFeed::adopt(const registry::Peers& peers) {
  auto tapped =
      std::make_shared<ownership::TappedPeers>(ownership::TappedPeers::named(peers.tapped));
  if (peers.services)
    tapped->tapped_services = ownership::TappedPeers::named(*peers.services).hosts;
  tapped->older = ownership::TappedPeers::named(peers.older).hosts;
  tapped->nodes = ownership::TappedPeers::named(peers.nodes).hosts;
  tapped->client_owned = ownership::TransportSet(peers.client_owned);
  tapped->front_ends = ownership::TransportSet(peers.front_ends);
  tapped->server_ports = ownership::PortSet(peers.server_ports);
  if (peers.former_server_ports)
    tapped->former_server_ports = ownership::PortSet(*peers.former_server_ports);
  std::vector<net::Cidr> unowned = unowned_peers(ownership_, *tapped);
  // More prefixes would exceed the filter's maximum length; then the process decides.
  if (unowned.size() > kMostFilteredPrefixes) unowned.clear();
  for (CaptureLoop* loop : loops_) loop->set_tapped_peers(tapped, unowned);
}

}  // namespace sidetap
