// Lets what is added to a list of addresses count only after it has stood in it for a while. Pure.
//
// A tap that has just been listed may have packets of a moment ago still before it, and a peer that
// leaves them to it at once would rely on what is not there yet. What is taken out counts at once.
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

  /// What counts from now on, ascending. `listed` is what the list says now, `counting` what
  /// counted until now; both ascending, each address once.
  Addresses update(const Addresses& listed, const Addresses& counting, Time now);
  /// When update() lets more count; nothing: when the list changes.
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
