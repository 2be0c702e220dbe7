// A hostile registry: any texts, one a line, as messages of two replicas in turn.
//
// For any input, the lists are ascending without repetitions, none holds what no replica listed,
// what every replica lists is among what any lists, and nothing counts when both replicas have been
// away for long. What has settled holds nothing else, and whoever is older there is tapped.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "shared/registry/codec.h"
#include "shared/registry/lists.h"
#include "sidecar/registry/settled_peers.h"

namespace {

using namespace sidetap;
using namespace sidetap::registry;

void require(bool holds) {
  if (!holds) std::abort();
}

template <typename Item>
void require_ascending(const std::vector<Item>& list) {
  require(std::is_sorted(list.begin(), list.end()));
  require(std::adjacent_find(list.begin(), list.end()) == list.end());
}

template <typename Item>
bool holds(const std::vector<Item>& all, const std::vector<Item>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

/// All that was ever listed.
struct Named {
  std::set<net::IpAddress> addresses;
  std::set<net::TransportAddress> endpoints;

  void add(const Lists& lists) {
    for_each_list([&](const auto& list) {
      const auto& items = lists.*list.member;
      if constexpr (std::decay_t<decltype(list)>::kOfTransportAddresses) {
        endpoints.insert(items.begin(), items.end());
      } else {
        addresses.insert(items.begin(), items.end());
      }
    });
  }
  void require_all(const Addresses& list) const {
    require_ascending(list);
    for (const auto& item : list) require(addresses.contains(item));
  }
  void require_all(const TransportAddresses& list) const {
    require_ascending(list);
    for (const auto& item : list) require(endpoints.contains(item));
  }
};

void check(const CombinedLists& lists, const Named& named) {
  for (const auto& list : {lists.taps, lists.older, lists.services, lists.nodes}) {
    named.require_all(*list);
  }
  for (const auto& list : {lists.client_owned_by_any, lists.client_owned_by_all, lists.server_ports,
                           lists.front_ends}) {
    named.require_all(*list);
  }
  require(holds(*lists.client_owned_by_any, *lists.client_owned_by_all));
  require(lists.knows_services || lists.services->empty());
}

void check(const Peers& peers, const Named& named) {
  for (const auto* list : {&peers.tapped, &peers.older, &peers.nodes}) named.require_all(*list);
  for (const auto* list : {&peers.client_owned, &peers.server_ports, &peers.front_ends}) {
    named.require_all(*list);
  }
  require(holds(peers.tapped, peers.older));
}

void require_nothing(const CombinedLists& lists) {
  for (const auto& list : {lists.taps, lists.older, lists.services, lists.nodes}) {
    require(list->empty());
  }
  for (const auto& list : {lists.client_owned_by_any, lists.client_owned_by_all, lists.server_ports,
                           lists.front_ends}) {
    require(list->empty());
  }
  require(!lists.knows_services);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  PeerView view(std::chrono::seconds(15));
  SettledPeers settled(std::chrono::milliseconds(250));
  const Addresses own{net::IpAddress::v4(0x0a000002)};
  Named named;
  PeerView::Time now = PeerView::Time() + std::chrono::hours(1);
  for (bool first = true; !rest.empty(); first = !first) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const std::string replica = first ? "a" : "b";
    auto message = decode_registry_message(line);
    if (!message) {
      view.lost(replica, now);
    } else if (auto* snapshot = std::get_if<Snapshot>(&*message)) {
      named.add(snapshot->lists);
      view.apply(replica, std::move(*snapshot));
    } else if (const auto* change = std::get_if<Change>(&*message)) {
      named.add(change->add);
      view.apply(replica, *change);
    }
    check(view.lists(), named);
    now += std::chrono::milliseconds(100);
    settled.update(view, own, now);
    check(*settled.now(), named);
  }
  view.lost("a", now);
  view.lost("b", now);
  view.expire(now + std::chrono::seconds(15));
  require_nothing(view.lists());
  return 0;
}
