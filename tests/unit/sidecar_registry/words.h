// What replicas say, written briefly.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "shared/registry/messages.h"
#include "tests/support/addresses.h"

namespace sidetap::registry {

/// Throws if `text` is not a transport address.
inline net::TransportAddress endpoint(std::string_view text) {
  return net::TransportAddress::parse(text).value();
}

/// Of a registry that knows Services and rules 2.
inline Snapshot snapshot(std::uint64_t version, Lists lists) {
  return {version, std::move(lists), true, 2};
}
/// Of a registry that knows rules 1, and no Services.
inline Snapshot first_rules(std::uint64_t version, Addresses taps) {
  return {version, {.taps = std::move(taps)}, false, 1};
}
/// Of a registry that knows Services and rules 1.
inline Snapshot first_rules(std::uint64_t version, Addresses taps, Addresses services) {
  return {version, {.taps = std::move(taps), .services = std::move(services)}, true, 1};
}

}  // namespace sidetap::registry
