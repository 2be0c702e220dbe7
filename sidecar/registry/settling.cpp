#include "sidecar/registry/settling.h"

#include <algorithm>
#include <utility>

namespace sidetap::registry {

Settling::Addresses Settling::update(const Addresses& listed, const Addresses& counting, Time now) {
  Addresses counts;
  counts.reserve(listed.size());
  const std::vector<Addition> before = std::exchange(waiting_, {});
  auto known = before.begin();
  for (const net::IpAddress address : listed) {
    while (known != before.end() && known->address < address) ++known;
    const bool waits = known != before.end() && known->address == address;
    const Time due = waits ? known->due : now + delay_;
    if (due <= now || std::binary_search(counting.begin(), counting.end(), address)) {
      counts.push_back(address);
    } else {
      waiting_.push_back({address, due});
    }
  }
  return counts;
}

std::optional<Settling::Time> Settling::due() const {
  const auto first = std::min_element(
      waiting_.begin(), waiting_.end(),
      [](const Addition& left, const Addition& right) { return left.due < right.due; });
  if (first == waiting_.end()) return std::nullopt;
  return first->due;
}

}  // namespace sidetap::registry
