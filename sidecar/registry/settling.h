// Delays additions to a list of addresses until they have been listed for a while. Pure.
//
// A tap that has just been listed may still have older packets to read, decided before it
// forwarded. A peer that left packets to it at once would rely on it too early. Removals count at
// once.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "shared/net/ip_address.h"

namespace sidetap::registry {

class Settling {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Addresses = std::vector<net::IpAddress>;

  explicit Settling(std::chrono::milliseconds delay) : delay_(delay) {}

  /// Returns the addresses that count from now on, ascending. `listed` is the current list, and
  /// `counting` are the addresses that counted until now. Both are ascending, without repetitions.
  Addresses update(const Addresses& listed, const Addresses& counting, Time now);
  /// When update() will admit more; nothing if only a change of the list does.
  std::optional<Time> due() const;

 private:
  struct Addition {
    net::IpAddress address;
    Time due;
  };
  std::chrono::milliseconds delay_;
  std::vector<Addition> waiting_;  // ascending by address
};

}  // namespace sidetap::registry
