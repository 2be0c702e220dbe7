// Services, their backends and their endpoints, as the parts of ServiceTable share them. Pure.
//
// Memory. An endpoint of one Service takes about 140 bytes: one Member and one Use. Its ports are
// those of its slice, and the name of its node is stored once for all endpoints there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/net/transport_address.h"
#include "webhook/registry/service_facts.h"

namespace sidetap::webhook::registry {

struct Node;
struct Service;
struct Slice;

/// The role of an endpoint in its Service.
enum class Part : std::uint8_t {
  kIdle,     ///< It has never been ready.
  kReady,    ///< It gets connections.
  kUnready,  ///< It may have connections.
  kLeaving,  ///< The same, and its pod is ending.
};

/// The backends of one Service and address family.
struct Backends {
  Service* service = nullptr;
  bool v6 = false;
  std::vector<net::IpAddress> vips;  // cluster IPs; none: the Service is headless, or unknown
  std::unordered_set<const Slice*> slices;  // of this family
  std::size_t all = 0, tapped = 0;          // endpoints that count
  std::size_t ready = 0;                    // of all
  std::size_t ended = 0;                    // besides all; none is tapped

  // As of the last flush.
  bool partly = false;                        // some Service of its component is partly tapped
  bool qualifies = false;                     // its addresses may be published
  std::vector<net::TransportAddress> claims;  // its addresses in FrontEnds, ascending
  std::size_t front_ends = 0;                 // those that it wants there besides its cluster IPs
  std::uint64_t walk = 0;                     // the last one that came here

  std::size_t counted() const { return all + (ready == 0 ? ended : 0); }
  bool are_tapped() const { return counted() > 0 && tapped == counted(); }
  bool are_mixed() const { return tapped > 0 && tapped < counted(); }
  /// Whether they are part of a component: kube-proxy sends nothing to those of other Services.
  bool are_linked() const { return !vips.empty(); }
};

struct Service {
  Service() {
    for (const bool v6 : {false, true}) {
      families[v6].service = this;
      families[v6].v6 = v6;
    }
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  ServiceFacts facts;                // only the name, unless it is listed
  std::array<Backends, 2> families;  // IPv4, IPv6
  bool listed = false;               // by a Service object; otherwise only slices name it
  /// Nodes may answer at its cluster IPs themselves (NodeLocal DNSCache).
  bool answered_by_nodes = false;
  std::uint32_t round = 0;
  std::size_t slices = 0;
};

/// One endpoint of a slice.
struct Member {
  net::IpAddress address;
  const Node* node = nullptr;  // null: unknown
  Part part = Part::kIdle;
  bool terminating = false;
  friend bool operator==(const Member&, const Member&) = default;
};

struct Slice {
  Service* service = nullptr;
  bool v4 = false, v6 = false, unreadable = false;
  std::vector<TransportPort> ports;  // ascending; empty: any port
  std::vector<Member> members;       // none if it has both families
  std::uint32_t round = 0;

  bool has(const Backends& backends) const { return backends.v6 ? v6 : v4; }
  Backends& backends_of(const net::IpAddress& endpoint) const {
    return service->families[!endpoint.is_v4()];
  }
  bool equals(const Slice& other) const {
    return service == other.service && v4 == other.v4 && v6 == other.v6 &&
           unreadable == other.unreadable && ports == other.ports && members == other.members;
  }
};

/// Whether an address in both slices is one endpoint: the same protocol and port.
inline bool share_ports(const Slice& a, const Slice& b) {
  if (a.ports.empty() || b.ports.empty()) return true;
  for (auto i = a.ports.begin(), j = b.ports.begin(); i != a.ports.end() && j != b.ports.end();) {
    if (*i == *j) return true;
    *i < *j ? ++i : ++j;
  }
  return false;
}

/// What an endpoint is in one slice.
struct Use {
  const Slice* slice = nullptr;
  Part part = Part::kIdle;
  Backends& backends(const net::IpAddress& endpoint) const { return slice->backends_of(endpoint); }
  friend bool operator==(const Use&, const Use&) = default;
};
/// By address. No list is empty.
using Users = std::unordered_map<net::IpAddress, std::vector<Use>>;

}  // namespace sidetap::webhook::registry
