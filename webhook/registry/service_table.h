// Determines what taps must know of Services: which of their addresses have tapped backends only,
// which endpoints the clients own, and which ports are servers'. Pure.
//
// A client's view of a Service may be dropped only if the backends' taps forward everything in it.
// So an endpoint counts as long as it can receive or answer packets through the Service:
//
//   - while it is ready, because kube-proxy sends it connections;
//   - when it is no longer ready, because connections outlive readiness;
//   - when it is terminating, until only the tap still runs in its pod: ended() reports that for
//     taps that end last. If no other endpoint is ready, it still counts, because kube-proxy then
//     uses terminating endpoints.
//
// An endpoint that has never been ready does not count: it received no connections. What is
// uncertain is not published.
//
// Of a partly tapped Service, clients keep their view, whoever answers. So they own what they
// exchange with its tapped endpoints. That holds for its whole component (service_components.h),
// and for a Service that nodes may answer for: NodeLocal DNSCache does for NAME if there is a
// Service NAME-upstream beside it. No address is published of Services whose endpoints the clients
// own: with both, a packet would have no owner.
//
// A flush costs in proportion to the components that something has touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/net/transport_address.h"
#include "shared/registry/messages.h"
#include "webhook/registry/backends.h"
#include "webhook/registry/bounded_list.h"
#include "webhook/registry/front_ends.h"
#include "webhook/registry/node_table.h"
#include "webhook/registry/port_counts.h"
#include "webhook/registry/service_components.h"
#include "webhook/registry/service_facts.h"

namespace sidetap::webhook::registry {

struct ServiceLimits {
  std::size_t services = 20'000;
  std::size_t slices = 100'000;
  std::size_t endpoints = 200'000;
  /// Ports of slices. A slice over the limit counts as one for any port.
  std::size_t ports = 1'000'000;
};

/// The difference between two sets. The lists are disjoint.
struct AddressChange {
  std::vector<net::IpAddress> add{};
  std::vector<net::IpAddress> remove{};
};

/// For one thread only. Report Services, slices and nodes in any order.
class ServiceTable {
 public:
  explicit ServiceTable(ServiceLimits limits = {});

  /// Starts a list: from here to its end, every object of this kind is reported anew. Objects that
  /// are not reported no longer exist.
  void services_begin();
  void set(ServiceFacts facts);
  void remove_service(const ObjectName& name);
  void services_end();
  void slices_begin();
  void set(SliceFacts facts);
  void remove_slice(const ObjectName& name);
  void slices_end();
  void nodes_begin() { nodes_.begin(); }
  void set_node(NodeFacts facts);
  void remove_node(const std::string& name);
  void nodes_end();

  /// Reports changes of the published sets of tapped addresses, and of those whose taps apply rules
  /// 1 only.
  void taps_changed(const AddressChange& taps, const AddressChange& older = {});
  /// Reports that in the pods with these addresses only the taps still run, which end now. Applies
  /// to known endpoints, from the time that they are terminating.
  void ended(const std::vector<net::IpAddress>& addresses);
  /// False, the initial state, means that the table may be outdated: nothing is published.
  void set_current(bool current);
  /// The same for the nodes alone: neither they nor the node ports of local Services are published.
  void set_nodes_current(bool current);

  /// Whether flush() may have something to publish.
  bool changed() const;
  /// Adds the changes since the last call to `into`: of all lists but `taps` and `older`. All that
  /// is published has at most `room` items. If there are more, `front_ends` are left out, then
  /// `client_owned`, then `services`, each as a whole. Returns false if nothing has changed.
  bool flush(sidetap::registry::Change& into,
             std::size_t room = sidetap::registry::kMostMessageItems);

  // As of the last flush, ascending.
  const auto& services() const { return front_ends_.cluster_ips().published(); }
  const auto& nodes() const { return nodes_.list().published(); }
  const auto& client_owned() const { return client_owned_.published(); }
  const auto& server_ports() const { return ports_.list().published(); }
  const auto& front_ends() const { return front_ends_.others().published(); }

  /// Items that do not fit into the lists. None while the table is not current.
  struct LeftOut {
    std::size_t services = 0, nodes = 0, client_owned = 0, server_ports = 0, front_ends = 0;
  };
  LeftOut left_out() const;
  /// Numbers of cluster IPs by their backends. Each counts in exactly one.
  struct Counts {
    std::size_t tapped = 0, untapped = 0, mixed = 0, none = 0;
  };
  Counts counts() const;
  /// The backends of one Service and address family.
  struct Listed {
    const ObjectName& name;
    bool v6 = false;
    std::size_t backends = 0;  ///< Those that count.
    std::size_t tapped = 0;    ///< Of them.
  };
  /// Calls `visit` for each Service with a cluster IP, by name, once for each of its families.
  void each(const std::function<void(const Listed&)>& visit) const;
  std::size_t endpoints() const { return endpoints_; }
  /// Whether there is more than the limits allow. Services over the limit are not published. While
  /// slices are over the limit, no Service is.
  bool overflowing() const { return services_left_out_ || slices_left_out_; }
  /// Endpoints that flush() has looked at so far: a measure of its cost.
  std::size_t looked_at() const { return components_.looked_at(); }

 private:
  bool is_listed(const ObjectName& name) const;
  Service& service_of(const ObjectName& name);
  void adopt(Service& service, ServiceFacts facts);
  void upstream_changed(const ObjectName& upstream, bool listed);
  void forget_empty(Service& service);

  Slice slice_of(const SliceFacts& facts);
  Part part_of(const Endpoint& endpoint, const Service& service) const;
  void keep_within_limits(Slice& slice);
  void leave_nodes(const Slice& slice);
  void attach(const Slice& slice);
  void detach(const Slice& slice);
  void forget_ended(const Slice& before, const Slice* now);

  void count(const net::IpAddress& endpoint, const Use& use, bool add);
  template <class Change>
  void recount(const net::IpAddress& endpoint, Change change);
  void touch(Backends& backends) { touched_.insert(&backends); }
  void touch_local();
  void touch_neighbours(const Slice& slice);

  void turn(bool& what, bool now) { turned_ |= std::exchange(what, now) != now; }
  void claim_front_ends();
  void claim(Backends& backends);
  void find_partly_tapped();
  void find_client_owned(const net::IpAddress& endpoint);
  void share(std::size_t room);
  bool is_known() const { return current_ && !slices_left_out_ && !upstream_left_out_; }

  const ServiceLimits limits_;
  std::map<ObjectName, Service> services_;
  std::map<ObjectName, Slice> slices_;
  Users users_;
  std::unordered_set<net::IpAddress> taps_, older_;
  std::unordered_set<net::IpAddress> ended_;  // endpoints that are terminating, or soon will be
  NodeTable nodes_;
  PortCounts ports_;
  FrontEnds front_ends_;
  BoundedList<net::TransportAddress> client_owned_{sidetap::registry::kMostListedAddresses};
  ServiceComponents components_{users_};

  // Since the last flush.
  std::unordered_set<Backends*> touched_;
  std::unordered_set<net::IpAddress> touched_endpoints_;
  bool turned_ = false;  // what is known at all

  std::unordered_set<Backends*> local_;  // their front ends depend on nodes
  std::uint32_t service_round_ = 0, slice_round_ = 0;
  std::size_t listed_ = 0, endpoints_ = 0, slice_ports_ = 0;
  bool services_left_out_ = false, slices_left_out_ = false;
  bool upstream_left_out_ = false;  // of an unknown Service, nodes may answer at the address
  bool service_over_limit_ = false, slice_over_limit_ = false, upstream_over_limit_ = false;
  bool listing_slices_ = false;  // events since the last list are unknown
  bool current_ = false, nodes_current_ = false;
};

}  // namespace sidetap::webhook::registry
