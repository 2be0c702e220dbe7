// The lists of registry::Lists as a table, for code that treats them all alike. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include "shared/registry/messages.h"

namespace sidetap::registry {

/// One list of `ItemType`, an address or a transport address.
template <typename ItemType>
struct ListInfo {
  using Item = ItemType;
  static constexpr bool kOfTransportAddresses = std::is_same_v<Item, net::TransportAddress>;

  std::string_view name{};    ///< In a snapshot.
  std::string_view add{};     ///< In a change.
  std::string_view remove{};  ///< In a change.
  std::vector<Item> Lists::*member = nullptr;
  /// Items in a snapshot, and added and removed by a change, each.
  std::size_t most = 0;
  /// Which lists a snapshot that is too long leaves out, as a whole: 1 the first, then 2, then 3.
  /// 0: never.
  unsigned left_out = 0;
  /// The rules that brought the list.
  std::uint64_t rules = 2;
  /// Whether only a registry that watches Services knows the list.
  bool of_services = true;

  /// Whether the registry that sent `snapshot` knows the list.
  constexpr bool known_to(const Snapshot& snapshot) const {
    return snapshot.rules >= rules && (snapshot.knows_services || !of_services);
  }
};

/// Calls f(const ListInfo<Item>&) once for each list, in the order of their declaration.
template <typename F>
constexpr void for_each_list(const F& f) {
  using OfAddresses = ListInfo<net::IpAddress>;
  using OfTransportAddresses = ListInfo<net::TransportAddress>;
  f(OfAddresses{.name = "taps",
                .add = "add",
                .remove = "remove",
                .member = &Lists::taps,
                .most = kMostListedAddresses,
                .rules = 1,
                .of_services = false});
  f(OfAddresses{.name = "older",
                .add = "add_older",
                .remove = "remove_older",
                .member = &Lists::older,
                .most = kMostListedAddresses,
                .of_services = false});
  f(OfAddresses{.name = "services",
                .add = "add_services",
                .remove = "remove_services",
                .member = &Lists::services,
                .most = kMostListedAddresses,
                .left_out = 3,
                .rules = 1});
  f(OfAddresses{.name = "nodes",
                .add = "add_nodes",
                .remove = "remove_nodes",
                .member = &Lists::nodes,
                .most = kMostNodes});
  f(OfTransportAddresses{.name = "client_owned",
                         .add = "add_client_owned",
                         .remove = "remove_client_owned",
                         .member = &Lists::client_owned,
                         .most = kMostListedAddresses,
                         .left_out = 2});
  f(OfTransportAddresses{.name = "server_ports",
                         .add = "add_server_ports",
                         .remove = "remove_server_ports",
                         .member = &Lists::server_ports,
                         .most = kMostServerPorts});
  f(OfTransportAddresses{.name = "front_ends",
                         .add = "add_front_ends",
                         .remove = "remove_front_ends",
                         .member = &Lists::front_ends,
                         .most = kMostListedAddresses,
                         .left_out = 1});
}

}  // namespace sidetap::registry
