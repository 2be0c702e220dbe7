#include "sidecar/options/ownership_options.h"

#include <algorithm>
#include <utility>

#include "shared/net/text.h"
#include "shared/tap/assigned.h"
#include "shared/tap/settings.h"

namespace sidetap {
namespace {

config::Parser<TappedPeersOption> tapped_peers() {
  return [](std::string_view text) -> Result<TappedPeersOption> {
    if (text == "none") return TappedPeersOption{};
    if (text == "all") return TappedPeersOption{TappedPeersOption::Kind::kAll, {}};
    auto list = net::CidrSet::parse_rules(text);
    if (!list)
      return Error{
          "all, none, or prefixes separated by commas, where !PREFIX takes some out "
          "again (10.244.0.0/16,!10.244.1.1)"};
    return TappedPeersOption{TappedPeersOption::Kind::kList, std::move(*list)};
  };
}

}  // namespace

config::Parser<std::vector<std::uint16_t>> port_list() {
  return [](std::string_view text) -> Result<std::vector<std::uint16_t>> {
    std::vector<std::uint16_t> ports;
    for (const std::string_view item : net::Items::if_any(text)) {
      const auto port = net::whole_number<std::uint16_t>(item).value_or(0);
      if (port == 0) return Error{"ports from 1 to 65535, separated by commas"};
      ports.push_back(port);
    }
    return ports;
  };
}

void declare_ownership(config::OptionSet& options, OwnershipOptions& into) {
  options.add<std::vector<net::IpAddress>>(tap::kPodIps, config::address_list(), into.pod_ips);
  options.add<std::vector<net::Cidr>>(tap::kPodSubnets.option, config::cidr_list(),
                                      into.pod_subnets);
  options.add<std::vector<net::Cidr>>(tap::kServiceSubnets.option, config::cidr_list(),
                                      into.service_subnets);
  options.add<TappedPeersOption>(tap::kTappedPeers.option, tapped_peers(), into.tapped_peers);
  options.add<ownership::ServiceView>(
      tap::kServiceView.option,
      config::word<ownership::ServiceView>({{"auto", ownership::ServiceView::kAuto},
                                            {"never", ownership::ServiceView::kNever},
                                            {"always", ownership::ServiceView::kAlways}}),
      into.service_view);
  options.add<std::vector<net::Cidr>>(tap::kUntappedServices.option, config::cidr_list(),
                                      into.untapped_services);
  options.add<std::vector<std::uint16_t>>(
      {.flag = "--server-ports",
       .env = "SERVER_PORTS",
       .value = "PORT,...",
       .help = "ports of UDP, UDP-Lite, SCTP and DCCP servers that no Service names; otherwise, "
               "the only port outside of the ephemeral range, or else the lower port, counts as "
               "the server's; set the same for every tap"},
      port_list(), into.server_ports);
}

ownership::Self make_self(const OwnershipOptions& options,
                          const std::vector<net::Interface>& interfaces,
                          const std::string& tapped) {
  ownership::Self self;
  self.addresses = options.pod_ips;
  std::vector<net::Cidr> on_link;
  for (const net::Interface& interface : interfaces) {
    const bool is_tapped = interface.name == tapped;
    if (is_tapped) self.mac = interface.mac;
    if (interface.mac != decltype(interface.mac){} && !interface.shares_mac)
      self.senders.push_back(interface.mac);
    for (const net::InterfaceAddress& entry : interface.addresses) {
      const bool known = std::find(self.addresses.begin(), self.addresses.end(), entry.address) !=
                         self.addresses.end();
      if (!known && !entry.address.is_loopback()) self.addresses.push_back(entry.address);
      if (is_tapped && !entry.broadcast.is_unspecified())
        self.broadcasts.push_back(entry.broadcast);
      if (!is_tapped || entry.address.is_link_local()) continue;
      if (const auto subnet = net::Cidr::make(entry.address, entry.prefix_length))
        on_link.push_back(*subnet);
    }
  }
  self.on_link = net::CidrSet(on_link);
  return self;
}

ownership::TappedPeers make_tapped_peers(const OwnershipOptions& options) {
  switch (options.tapped_peers.kind) {
    case TappedPeersOption::Kind::kNone:
      break;
    case TappedPeersOption::Kind::kAll:
      return ownership::TappedPeers::all(options.pod_subnets);
    case TappedPeersOption::Kind::kList:
      return ownership::TappedPeers::list(options.tapped_peers.list);
  }
  return ownership::TappedPeers::none();
}

std::string tapped_peers_doubt(const OwnershipOptions& options) {
  if (options.tapped_peers.kind == TappedPeersOption::Kind::kNone) return {};
  if (!make_tapped_peers(options).empty()) return {};
  return options.tapped_peers.kind == TappedPeersOption::Kind::kAll
             ? "TAPPED_PEERS is all, but PODNET names no subnets: set it"
             : "TAPPED_PEERS has no prefix that is not taken out again";
}

std::string service_view_doubt(const OwnershipOptions& options) {
  if (options.service_view != ownership::ServiceView::kNever) return {};
  if (!options.service_subnets.empty()) return {};
  return "SERVICE_VIEW is never, but SVCNET names no subnets: set it";
}

std::vector<std::string> assumptions(const OwnershipOptions& options) {
  std::vector<std::string> sentences;
  if (options.pod_subnets.empty())
    sentences.emplace_back(
        "any address may be a pod's, since PODNET names no subnets; this matters only for frames "
        "whose sender is known by its MAC address alone");
  if (options.service_subnets.empty())
    sentences.emplace_back(
        "no address is a Service's unless UNTAPPED_SERVICES names it, since SVCNET names no "
        "subnets; packets with a cluster IP count as traffic with an untapped peer");
  if (options.tapped_peers.kind == TappedPeersOption::Kind::kNone)
    sentences.emplace_back(
        "no peer is tapped, since TAPPED_PEERS names none; a running tap asks the registry");
  else if (const std::string doubt = tapped_peers_doubt(options); !doubt.empty())
    sentences.push_back("no peer is tapped: " + doubt);
  return sentences;
}

ownership::EngineConfig make_engine_config(const OwnershipOptions& options, ownership::Self self,
                                           std::vector<net::IpAddress> gateways) {
  ownership::EngineConfig config;
  config.self = std::move(self);
  config.pod_subnets = net::CidrSet(options.pod_subnets);
  config.gateways = std::move(gateways);
  config.service_subnets = net::CidrSet(options.service_subnets);
  config.untapped_services = net::CidrSet(options.untapped_services);
  config.service_view = options.service_view;
  config.tapped_peers = make_tapped_peers(options);
  config.server_ports = options.server_ports;
  return config;
}

std::vector<net::Cidr> unowned_peers(const OwnershipOptions& options,
                                     const ownership::TappedPeers& tapped) {
  return ownership::dropped_views(options.service_view, tapped, options.service_subnets,
                                  options.untapped_services);
}

}  // namespace sidetap
