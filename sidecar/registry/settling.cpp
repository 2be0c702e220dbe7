#include "sidecar/registry/settling.h"

#include <algorithm>
#include <utility>

namespace sidetap::registry {

template <typename Item>
bool Settling<Item>::update(const SharedList<Item>& listed, Time now) {
  if (listed == listed_ && (!due_ || now < *due_)) return false;
  listed_ = listed;
  bool changed = false;
  std::vector<Item> counts = settled(*listed, now, changed);
  if (changed) counting_ = shared_list(std::move(counts));
  return changed;
}

template <typename Item>
std::vector<Item> Settling<Item>::settled(const std::vector<Item>& listed, Time now,
                                          bool& changed) {
  const std::vector<Waiting> before = std::exchange(waiting_, {});
  due_.reset();
  auto known = before.begin();
  const auto stood = [&](const Item& item, std::chrono::milliseconds delay) {
    while (known != before.end() && known->item < item) ++known;
    const bool waits = known != before.end() && known->item == item;
    const Time due = waits ? known->due : now + delay;
    if (due <= now) return true;
    waiting_.push_back({item, due});
    due_ = due_ ? std::min(*due_, due) : due;
    return false;
  };
  std::vector<Item> counts;
  counts.reserve(std::max(listed.size(), counting_->size()));
  auto fresh = listed.begin();
  auto old = counting_->begin();
  while (fresh != listed.end() || old != counting_->end()) {
    const bool added = old == counting_->end() || (fresh != listed.end() && *fresh < *old);
    const bool removed = !added && (fresh == listed.end() || *old < *fresh);
    const Item& item = added ? *fresh : *old;
    const bool counts_now =
        (added || removed) && stood(item, added ? delays_.additions : delays_.removals);
    changed = changed || counts_now;
    // These count: what is listed and counted before, an addition that has stood, and a removal
    // that has not.
    if (added == counts_now) counts.push_back(item);
    if (!added) ++old;
    if (!removed) ++fresh;
  }
  return counts;
}

template class Settling<net::IpAddress>;
template class Settling<net::TransportAddress>;

}  // namespace sidetap::registry
