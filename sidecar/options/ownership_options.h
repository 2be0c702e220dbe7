// The options that decide who owns a packet. A running tap and `explain` share them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/config/options.h"
#include "shared/net/cidr.h"
#include "shared/net/interfaces.h"
#include "sidecar/ownership/engine.h"

namespace sidetap {

/// Which peers run a tap that forwards.
struct TappedPeersOption {
  enum class Kind : std::uint8_t { kNone, kAll, kList };
  Kind kind = Kind::kNone;
  std::vector<net::CidrSet::Rule> list;
};

struct OwnershipOptions {
  std::vector<net::IpAddress> pod_ips;
  std::vector<net::Cidr> pod_subnets;
  std::vector<net::Cidr> service_subnets;
  std::vector<net::Cidr> untapped_services;
  ownership::ServiceView service_view = ownership::ServiceView::kAuto;
  TappedPeersOption tapped_peers;
  std::vector<std::uint16_t> server_ports;
};

/// Ports from 1 to 65535, separated by commas.
config::Parser<std::vector<std::uint16_t>> port_list();

/// Declares the options; `into` must outlive the set.
void declare_ownership(config::OptionSet& options, OwnershipOptions& into);

/// The pod's identity when the interface `tapped` is captured: --pod-ips and the addresses of every
/// interface. Packets may arrive on one interface for the address of another, or for one that the
/// loopback interface holds (direct server return).
ownership::Self make_self(const OwnershipOptions& options,
                          const std::vector<net::Interface>& interfaces, const std::string& tapped);

ownership::TappedPeers make_tapped_peers(const OwnershipOptions& options);

/// Why no peer counts as tapped although --tapped-peers names some; empty if there is no
/// contradiction.
std::string tapped_peers_doubt(const OwnershipOptions& options);

/// Why no packet counts as a view of a Service although --service-view drops them all; empty if
/// there is no contradiction.
std::string service_view_doubt(const OwnershipOptions& options);

/// What these options leave open, and what an engine without a registry takes for granted
/// instead: a sentence each.
std::vector<std::string> assumptions(const OwnershipOptions& options);

/// `gateways` are the next hops of the pod. The ephemeral range, own endpoints and hash seed keep
/// their defaults.
ownership::EngineConfig make_engine_config(const OwnershipOptions& options, ownership::Self self,
                                           std::vector<net::IpAddress> gateways);

/// Peers whose packets are never owned, so the kernel's filter may drop them: Services whose views
/// an engine with these tapped peers drops.
std::vector<net::Cidr> unowned_peers(const OwnershipOptions& options,
                                     const ownership::TappedPeers& tapped);

}  // namespace sidetap
