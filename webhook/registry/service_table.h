// Determines the Service addresses whose backends are all tapped. Pure.
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
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "shared/net/ip_address.h"
#include "webhook/registry/service_facts.h"
#include "webhook/registry/tap_set.h"

namespace sidetap::webhook::registry {

struct ServiceLimits {
  std::size_t services = 20'000;
  std::size_t slices = 100'000;
  std::size_t endpoints = 200'000;
};

/// For one thread only. Report Services and slices in any order.
class ServiceTable {
 public:
  explicit ServiceTable(ServiceLimits limits = {}) : limits_(limits) {}

  /// Starts a list: from here to its end, every object of this kind is reported anew. Objects that
  /// are not reported no longer exist.
  void services_begin();
  void set(ServiceFacts service);
  void remove_service(const ObjectName& name);
  void services_end();
  void slices_begin();
  void set(SliceFacts slice);
  void remove_slice(const ObjectName& name);
  void slices_end();

  /// Reports a change of the published set of tapped addresses.
  void taps_changed(const AddressChange& taps);
  /// Reports that in the pods with these addresses only the taps still run, which end now. Applies
  /// to known endpoints, from the time that they are terminating.
  void ended(const std::vector<net::IpAddress>& addresses);
  /// False, the initial state, means that the table may be outdated: nothing is published.
  void set_current(bool current);

  /// Whether flush() has something to publish.
  bool changed() const { return !touched_.empty(); }
  /// Publishes the changes since the last call. Returns nothing if they cancel each other out.
  std::optional<AddressChange> flush();
  /// The addresses of Services that have at least one backend, all of them tapped.
  const std::set<net::IpAddress>& published() const { return published_; }

  /// Numbers of Service addresses by their backends. Each address counts in exactly one.
  struct Counts {
    std::size_t tapped = 0, untapped = 0, mixed = 0, none = 0;
  };
  Counts counts() const;
  std::size_t endpoints() const { return endpoints_; }
  /// Whether there is more than the limits allow. Services over the limit are not published. While
  /// slices are over the limit, no Service is.
  bool overflowing() const { return services_left_out_ || slices_left_out_; }

 private:
  /// The role of an endpoint in its Service.
  enum class Part : std::uint8_t {
    kIdle,     ///< It has never been ready.
    kReady,    ///< It gets connections.
    kUnready,  ///< It may have connections.
    kLeaving,  ///< The same, and its pod is ending.
  };
  /// The backends of one Service and address family.
  struct Backends {
    std::vector<net::IpAddress> vips;
    std::size_t all = 0, tapped = 0;  // endpoints that count
    std::size_t ready = 0;            // of all
    std::size_t ended = 0;            // besides all; none is tapped
    std::size_t counted() const { return all + (ready == 0 ? ended : 0); }
  };
  struct Service {
    std::array<Backends, 2> families;  // IPv4, IPv6
    bool listed = false;               // by a Service object; otherwise only slices name it
    std::uint32_t round = 0;
    std::size_t slices = 0;
  };
  struct Slice {
    SliceFacts facts;
    std::vector<Part> parts;  // of its endpoints
    std::uint32_t round = 0;
  };
  struct Use {
    Backends* backends;
    Part part;
    friend bool operator==(const Use&, const Use&) = default;
  };

  bool is_tapped(const Backends& backends) const {
    return backends.counted() > 0 && backends.tapped == backends.counted();
  }
  bool member(const net::IpAddress& vip) const;
  void touch(const Backends& backends);
  void touch_all();
  void leave_slices_out(bool left_out);
  void set_vips(Service& service, const std::vector<net::IpAddress>& addresses);
  Part part_of(const Endpoint& endpoint, const SliceFacts& slice) const;
  void count(const net::IpAddress& endpoint, const Use& use, bool add);
  template <class Change>
  void recount(const net::IpAddress& endpoint, Change change);
  void attach(const Slice& slice);
  void detach(const Slice& slice);
  void forget_ended(const Slice& before, const Slice* now);
  void forget_empty(const ObjectName& name);

  const ServiceLimits limits_;
  std::map<ObjectName, Service> services_;
  std::map<ObjectName, Slice> slices_;
  std::map<net::IpAddress, std::vector<Backends*>> owners_;  // of VIPs; more than one only briefly
  std::unordered_map<net::IpAddress, std::vector<Use>> users_;  // of endpoints
  std::unordered_set<net::IpAddress> taps_;
  std::unordered_set<net::IpAddress> ended_;  // endpoints that are terminating, or soon will be
  std::set<net::IpAddress> touched_, published_;
  std::uint32_t service_round_ = 0, slice_round_ = 0;
  std::size_t listed_ = 0, endpoints_ = 0;
  bool services_left_out_ = false, slices_left_out_ = false;
  bool service_over_limit_ = false, slice_over_limit_ = false;  // in this round
  bool listing_slices_ = false;  // events since the last list are unknown
  bool current_ = false;
};

}  // namespace sidetap::webhook::registry
