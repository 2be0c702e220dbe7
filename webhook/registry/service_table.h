// Which Service addresses have tapped backends only. Pure.
//
// A client's view of a Service may be dropped only where every backend's tap forwards the pod view.
// So every endpoint counts, ready or not: connections outlive readiness, and an endpoint that is
// not ready yet will be. What is not known for sure is not published.
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

#include <nlohmann/json.hpp>

#include "shared/net/ip_address.h"
#include "webhook/registry/tap_set.h"

namespace sidetap::webhook::registry {

/// "namespace/name".
using ObjectName = std::string;

/// Of a Service (v1): its name, and its cluster IPs; none when it is headless.
struct ServiceFacts {
  ObjectName name;
  std::vector<net::IpAddress> addresses;
};
/// Of an EndpointSlice (discovery.k8s.io/v1).
struct SliceFacts {
  ObjectName name;
  ObjectName service;
  bool v4 = false, v6 = false;  ///< Whose backends these are; both when they have host names.
  std::vector<net::IpAddress> endpoints;
  bool unreadable =
      false;  ///< There are endpoints that have no address: nobody can be tapped there.
};

/// Nothing: no such object, or without a name.
std::optional<ServiceFacts> read_service(const nlohmann::json& object);
std::optional<SliceFacts> read_slice(const nlohmann::json& object);

struct ServiceLimits {
  std::size_t services = 20'000;
  std::size_t slices = 100'000;
  std::size_t endpoints = 200'000;
};

/// One thread. Services and slices are told in either order.
class ServiceTable {
 public:
  explicit ServiceTable(ServiceLimits limits = {}) : limits_(limits) {}

  /// From here to the end of the list everything of its kind is told anew; what was not is gone.
  void services_begin();
  void set(ServiceFacts service);
  void remove_service(const ObjectName& name);
  void services_end();
  void slices_begin();
  void set(SliceFacts slice);
  void remove_slice(const ObjectName& name);
  void slices_end();

  /// How the published set of tapped addresses has changed.
  void taps_changed(const AddressChange& taps);
  /// False, as at the beginning: what is known may be old, and nothing is to be published.
  void set_current(bool current);

  /// Is there anything that flush() would publish?
  bool changed() const { return !touched_.empty(); }
  /// Publishes what has changed since the last call; nothing when it comes to nothing.
  std::optional<AddressChange> flush();
  /// The addresses of Services of which every backend is tapped, and there is one.
  const std::set<net::IpAddress>& published() const { return published_; }

  /// Service addresses by their backends, each in one of the four.
  struct Counts {
    std::size_t tapped = 0, untapped = 0, mixed = 0, none = 0;
  };
  Counts counts() const;
  std::size_t endpoints() const { return endpoints_; }
  /// There is more than the limits allow. Services that are left out are not published; while
  /// slices are, none is.
  bool overflowing() const { return services_left_out_ || slices_left_out_; }

 private:
  /// Of one Service and one family.
  struct Backends {
    std::vector<net::IpAddress> vips;
    std::size_t all = 0, tapped = 0;
  };
  struct Service {
    std::array<Backends, 2> families;  // IPv4, IPv6
    bool listed = false;               // by a Service object; else only slices speak of it
    std::uint32_t round = 0;
    std::size_t slices = 0;
  };
  struct Slice {
    SliceFacts facts;
    std::uint32_t round = 0;
  };

  bool is_tapped(const Backends& backends) const {
    return backends.all > 0 && backends.tapped == backends.all;
  }
  bool member(const net::IpAddress& vip) const;
  void touch(const Backends& backends);
  void touch_all();
  void leave_slices_out(bool left_out);
  void set_vips(Service& service, const std::vector<net::IpAddress>& addresses);
  void attach(const SliceFacts& slice);
  void detach(const SliceFacts& slice);
  void forget_empty(const ObjectName& name);

  const ServiceLimits limits_;
  std::map<ObjectName, Service> services_;
  std::map<ObjectName, Slice> slices_;
  std::map<net::IpAddress, std::vector<Backends*>> owners_;  // of VIPs; more than one for a moment
  std::unordered_map<net::IpAddress, std::vector<Backends*>> users_;  // of endpoints
  std::unordered_set<net::IpAddress> taps_;
  std::set<net::IpAddress> touched_, published_;
  std::uint32_t service_round_ = 0, slice_round_ = 0;
  std::size_t listed_ = 0, endpoints_ = 0;
  bool services_left_out_ = false, slices_left_out_ = false;
  bool service_over_limit_ = false, slice_over_limit_ = false;  // in this round
  bool current_ = false;
};

}  // namespace sidetap::webhook::registry
