// Immutable sets of transport addresses and of ports, for look-ups on the packet path. Look-ups do
// not allocate and are safe from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shared/net/transport_address.h"

namespace sidetap::ownership {

/// A hash table over a sorted list: 24 bytes an item, and 4 to 8 for the table.
class TransportSet {
 public:
  TransportSet() = default;
  explicit TransportSet(std::span<const net::TransportAddress> members);

  bool contains(const net::TransportAddress& member) const;
  /// Whether any member has this address. A binary search: cache the answer.
  bool has_address(const net::IpAddress& address) const;
  bool empty() const { return members_.empty(); }

 private:
  std::size_t place_of(const net::TransportAddress& member) const;

  std::vector<net::TransportAddress> members_;  // ascending, each once
  std::vector<std::uint32_t> places_;           // index into members_ + 1; 0: free
};

/// Ports of five protocols, one bit each: 8 KiB for each protocol that has any.
class PortSet {
 public:
  PortSet() = default;
  /// Only protocol and port of the members count.
  explicit PortSet(std::span<const net::TransportAddress> members);

  bool contains(std::uint8_t protocol, std::uint16_t port) const {
    const Ports* const ports = ports_[kIndex[protocol]].get();
    return ports != nullptr && ((*ports)[port / 64] >> port % 64 & 1) != 0;
  }
  bool empty() const { return empty_; }

 private:
  using Ports = std::array<std::uint64_t, 65536 / 64>;
  static constexpr std::size_t kProtocols = 5;
  /// By protocol. The last place is of all protocols without ports, and stays free.
  static constexpr std::array<std::uint8_t, 256> kIndex = [] {
    std::array<std::uint8_t, 256> index{};
    index.fill(kProtocols);
    std::uint8_t next = 0;
    for (const std::size_t protocol : {6U, 17U, 33U, 132U, 136U}) index[protocol] = next++;
    return index;
  }();
  std::array<std::shared_ptr<const Ports>, kProtocols + 1> ports_;
  bool empty_ = true;
};

}  // namespace sidetap::ownership
