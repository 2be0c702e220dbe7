// The addresses at which Services are asked: cluster IPs, external IPs, load balancers and node
// ports. Pure.
//
// Several Services may claim the same address. It is listed if all of them qualify.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/net/transport_address.h"
#include "shared/registry/messages.h"
#include "webhook/registry/backends.h"
#include "webhook/registry/bounded_list.h"
#include "webhook/registry/node_table.h"

namespace sidetap::webhook::registry {

/// Front ends besides cluster IPs that are kept. If all Services together have more, none is
/// listed: what is not kept might contradict what is.
inline constexpr std::size_t kMostFrontEnds = 2 * sidetap::registry::kMostListedAddresses;

/// The addresses at which these backends are asked, ascending. A cluster IP has protocol and port
/// 0, and 0.0.0.0 or :: stands for all nodes. If there are more than `most`, some are missing.
/// Node ports of local Services have the addresses of the nodes with a ready endpoint, or none if
/// the nodes are not known.
std::vector<net::TransportAddress> claims_of(const Backends& backends, bool nodes_known,
                                             std::size_t most);

class FrontEnds {
 public:
  explicit FrontEnds(std::size_t most = kMostFrontEnds) : most_(most) {}

  /// Replaces what the backends claim by claims_of() them. They must exist until they withdraw.
  void claim(Backends& backends, bool nodes_known);
  void withdraw(Backends& backends);
  /// Whether there are more front ends than are kept. When that begins, and when it has ended after
  /// withheld(), all backends must claim anew.
  bool are_too_many() const { return wanted_ > most_; }
  /// Whether front ends of some backends have been withheld since renew().
  bool withheld() const { return withheld_; }
  void renew() { withheld_ = false; }
  /// Reports that `backends.qualifies` has changed.
  void turned(const Backends& backends);

  /// Whether settle() has something to do.
  bool touched() const { return !touched_.empty(); }
  /// Brings the lists up to date.
  void settle();
  BoundedList<net::IpAddress>& cluster_ips() { return cluster_ips_; }
  const BoundedList<net::IpAddress>& cluster_ips() const { return cluster_ips_; }
  BoundedList<net::TransportAddress>& others() { return others_; }
  const BoundedList<net::TransportAddress>& others() const { return others_; }
  /// Front ends that all Services want besides their cluster IPs.
  std::size_t wanted() const { return wanted_; }

 private:
  void replace(Backends& backends, std::vector<net::TransportAddress> claims);

  const std::size_t most_;
  std::map<net::TransportAddress, std::vector<Backends*>> owners_;  // no list is empty
  std::set<net::TransportAddress> touched_;
  BoundedList<net::IpAddress> cluster_ips_{sidetap::registry::kMostListedAddresses};
  BoundedList<net::TransportAddress> others_{sidetap::registry::kMostListedAddresses};
  std::size_t wanted_ = 0;
  bool withheld_ = false;
};

}  // namespace sidetap::webhook::registry
