#include "sidecar/registry/peer_view.h"

#include <algorithm>
#include <iterator>

namespace sidetap::registry {
namespace {

Addresses ordered(Addresses list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  list.shrink_to_fit();
  return list;
}

Addresses without(const Addresses& all, const Addresses& some) {
  Addresses left;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::back_inserter(left));
  return left;
}

Addresses united(const Addresses& a, const Addresses& b) {
  Addresses all;
  all.reserve(std::max(a.size(), b.size()));
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

Addresses common(const Addresses& a, const Addresses& b) {
  Addresses both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

}  // namespace

void PeerView::apply(const Replica& replica, Snapshot snapshot) {
  Said& said = said_[replica];
  said = {.version = snapshot.version, .gap = false, .taps = ordered(std::move(snapshot.taps))};
  if (snapshot.services) said.services = ordered(std::move(*snapshot.services));
  // A replica is connected, so the list of the last one no longer counts.
  kept_ = {};
  kept_until_.reset();
}

bool PeerView::apply(const Replica& replica, const Change& change) {
  const auto found = said_.find(replica);
  if (found == said_.end()) return false;
  Said& said = found->second;
  said.taps = without(said.taps, ordered(change.remove));
  if (said.services) said.services = without(*said.services, ordered(change.remove_services));
  if (said.gap || change.from != said.version) {
    said.gap = true;
    return false;
  }
  said.taps = united(said.taps, ordered(change.add));
  if (said.services) said.services = united(*said.services, ordered(change.add_services));
  said.version = change.version;
  return true;
}

void PeerView::lost(const Replica& replica, Time heard) {
  auto gone = said_.extract(replica);
  if (gone.empty() || !said_.empty()) return;
  kept_ = std::move(gone.mapped());
  kept_until_ = heard + grace_;
}

std::optional<PeerView::Time> PeerView::deadline() const { return kept_until_; }

bool PeerView::expire(Time now) {
  if (!kept_until_ || now < *kept_until_) return false;
  kept_until_.reset();
  const bool changed = !kept_.taps.empty() || kept_.services;
  kept_ = {};
  return changed;
}

Addresses PeerView::peers() const {
  Addresses all = kept_.taps;
  for (const auto& [replica, said] : said_) all = united(all, said.taps);
  return all;
}

std::optional<Addresses> PeerView::services() const {
  if (said_.empty()) return kept_.services;
  std::optional<Addresses> all;
  bool silent = false;
  for (const auto& [replica, said] : said_) {
    if (!said.services) {
      silent = true;
    } else {
      all = all ? common(*all, *said.services) : *said.services;
    }
  }
  if (all && silent) all->clear();
  return all;
}

bool PeerView::lists_any(std::span<const net::IpAddress> addresses) const {
  return std::any_of(said_.begin(), said_.end(), [&](const auto& entry) {
    return std::any_of(addresses.begin(), addresses.end(), [&](net::IpAddress address) {
      const Addresses& taps = entry.second.taps;
      return std::binary_search(taps.begin(), taps.end(), address);
    });
  });
}

}  // namespace sidetap::registry
