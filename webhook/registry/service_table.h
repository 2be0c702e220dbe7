// Which Service addresses have tapped backends only. Pure.
//
// A client's view of a Service may be dropped only where the backends' taps forward all that it
// shows. So an endpoint counts as long as it can get or answer packets through the Service:
//
//   - while it is ready, since the proxies send it connections;
//   - when it is not ready any more, since connections outlive readiness;
//   - when it is terminating, until its pod has ended but for the tap: ended() says so of taps that
//     end last. While no other endpoint is ready it counts all the same, since then the proxies
//     turn to those that are terminating.
//
// One that has never been ready does not count: nobody was sent to it. What is not known for sure
// is not published.
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
  /// The pods with these addresses have ended but for their taps, which end now. Counts for
  /// endpoints that are known, from when they are terminating.
  void ended(const std::vector<net::IpAddress>& addresses);
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
  /// What an endpoint is to its Service.
  enum class Part : std::uint8_t {
    kIdle,     ///< It has never been ready.
    kReady,    ///< It gets connections.
    kUnready,  ///< It may have some.
    kLeaving,  ///< The same, and its pod ends.
  };
  /// Of one Service and one family.
  struct Backends {
    std::vector<net::IpAddress> vips;
    std::size_t all = 0, tapped = 0;  // those that count
    std::size_t ready = 0;            // of all
    std::size_t ended = 0;            // besides all; none is tapped
    std::size_t counted() const { return all + (ready == 0 ? ended : 0); }
  };
  struct Service {
    std::array<Backends, 2> families;  // IPv4, IPv6
    bool listed = false;               // by a Service object; else only slices speak of it
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
  std::map<net::IpAddress, std::vector<Backends*>> owners_;  // of VIPs; more than one for a moment
  std::unordered_map<net::IpAddress, std::vector<Use>> users_;  // of endpoints
  std::unordered_set<net::IpAddress> taps_;
  std::unordered_set<net::IpAddress> ended_;  // endpoints that terminate, or soon will
  std::set<net::IpAddress> touched_, published_;
  std::uint32_t service_round_ = 0, slice_round_ = 0;
  std::size_t listed_ = 0, endpoints_ = 0;
  bool services_left_out_ = false, slices_left_out_ = false;
  bool service_over_limit_ = false, slice_over_limit_ = false;  // in this round
  bool listing_slices_ = false;  // what happened since the last list is not known
  bool current_ = false;
};

}  // namespace sidetap::webhook::registry
