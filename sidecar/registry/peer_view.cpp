#include "sidecar/registry/peer_view.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "shared/registry/lists.h"

namespace sidetap::registry {
namespace {

/// The rules that brought all lists but `taps` and `services`.
constexpr std::uint64_t kSecondRules = 2;

/// Which half of a change counts for a list.
struct Counts {
  bool additions;
  bool removals;
};

template <typename Item>
void amend(std::vector<Item>& list, const std::vector<Item>& add, const std::vector<Item>& remove,
           Counts counts) {
  if (counts.removals && !remove.empty()) list = without(list, ordered(remove));
  if (counts.additions && !add.empty()) list = united(list, ordered(add));
}

/// Replaces the list only if its content differs.
template <typename Item>
void renew(SharedList<Item>& list, std::vector<Item> content) {
  if (*list != content) list = shared_list(std::move(content));
}

/// The lists of all replicas, merged one by one. `list_of` returns the list of one replica.
template <typename Replica, typename ListOf, typename Merge>
auto merged(const std::vector<const Replica*>& all, const ListOf& list_of, const Merge& merge) {
  std::decay_t<decltype(list_of(*all.front()))> result;
  bool first = true;
  for (const Replica* replica : all) {
    const auto& list = list_of(*replica);
    if (std::exchange(first, false)) {
      result = list;
    } else {
      result = merge(result, list);
    }
  }
  return result;
}

}  // namespace

void PeerView::apply(const Replica& replica, Snapshot snapshot) {
  for_each_list([&snapshot](const auto& list) {
    auto& items = snapshot.lists.*list.member;
    if (!list.known_to(snapshot)) items.clear();
    items = ordered(std::move(items));
  });
  TransportAddresses perhaps = snapshot.lists.client_owned;
  said_[replica] = Said{std::move(snapshot), false, std::move(perhaps)};
  // A replica is connected, so the lists of the last one no longer count.
  kept_.reset();
  combine(nullptr);
}

bool PeerView::apply(const Replica& replica, const Change& change) {
  const auto found = said_.find(replica);
  if (found == said_.end()) return false;
  Said& said = found->second;
  said.gap = said.gap || change.from != said.version;
  const bool in_order = !said.gap;
  const Counts cautious{.additions = in_order, .removals = true};
  const Counts generous{.additions = true, .removals = in_order};
  const Counts both{.additions = true, .removals = true};
  const auto amend_list = [&](auto member, Counts counts) {
    amend(said.lists.*member, change.add.*member, change.remove.*member, counts);
  };
  amend_list(&Lists::taps, cautious);
  if (said.knows_services) amend_list(&Lists::services, cautious);
  if (said.rules >= kSecondRules) amend_list(&Lists::older, generous);
  if (said.rules >= kSecondRules && said.knows_services) {
    amend_list(&Lists::nodes, cautious);
    amend_list(&Lists::client_owned, cautious);
    amend(said.perhaps_client_owned, change.add.client_owned, change.remove.client_owned, generous);
    amend_list(&Lists::server_ports, both);
    amend_list(&Lists::front_ends, cautious);
  }
  if (in_order) said.version = change.version;
  combine(&change);
  return in_order;
}

void PeerView::lost(const Replica& replica, Time heard) {
  auto gone = said_.extract(replica);
  if (gone.empty()) return;
  if (said_.empty()) kept_ = Kept{std::move(gone.mapped()), heard + grace_};
  combine(nullptr);
}

std::optional<PeerView::Time> PeerView::deadline() const {
  if (!kept_) return std::nullopt;
  return kept_->until;
}

bool PeerView::expire(Time now) {
  if (!kept_ || now < kept_->until) return false;
  kept_.reset();
  const CombinedLists before = lists_;
  combine(nullptr);
  return before.taps != lists_.taps || before.knows_services != lists_.knows_services;
}

std::vector<const PeerView::Said*> PeerView::heard() const {
  std::vector<const Said*> all;
  for (const auto& [replica, said] : said_) all.push_back(&said);
  if (kept_) all.push_back(&kept_->said);
  return all;
}

Addresses PeerView::older() const {
  Addresses told, untold;
  for (const Said* said : heard()) {
    if (said->rules >= kSecondRules) {
      told = united(told, said->lists.older);
    } else {
      untold = united(untold, said->lists.taps);
    }
  }
  if (untold.empty()) return told;
  for (const Said* said : heard()) {
    if (said->rules >= kSecondRules) untold = without(untold, said->lists.taps);
  }
  return united(told, untold);
}

void PeerView::combine(const Change* change) {
  const std::vector<const Said*> all = heard();
  const auto touched = [change](auto member) {
    return change == nullptr || !(change->add.*member).empty() || !(change->remove.*member).empty();
  };
  const auto unite = [](const auto& a, const auto& b) { return united(a, b); };
  const auto intersect = [](const auto& a, const auto& b) { return common(a, b); };
  const auto lists_of_all = [&all](auto member, const auto& merge) {
    return merged(
        all, [member](const Said& said) -> const auto& { return said.lists.*member; }, merge);
  };
  if (touched(&Lists::taps)) renew(lists_.taps, lists_of_all(&Lists::taps, unite));
  if (touched(&Lists::taps) || touched(&Lists::older)) renew(lists_.older, older());
  if (touched(&Lists::services)) renew(lists_.services, lists_of_all(&Lists::services, intersect));
  if (touched(&Lists::nodes)) renew(lists_.nodes, lists_of_all(&Lists::nodes, intersect));
  if (touched(&Lists::client_owned)) {
    renew(lists_.client_owned_by_all, lists_of_all(&Lists::client_owned, intersect));
    renew(
        lists_.client_owned_by_any,
        merged(
            all, [](const Said& said) -> const auto& { return said.perhaps_client_owned; }, unite));
  }
  if (touched(&Lists::server_ports)) {
    renew(lists_.server_ports, lists_of_all(&Lists::server_ports, unite));
  }
  if (touched(&Lists::front_ends)) {
    renew(lists_.front_ends, lists_of_all(&Lists::front_ends, intersect));
  }
  lists_.knows_services =
      std::any_of(all.begin(), all.end(), [](const Said* said) { return said->knows_services; });
}

bool PeerView::lists_any(std::span<const net::IpAddress> addresses) const {
  return std::any_of(said_.begin(), said_.end(), [&](const auto& entry) {
    return std::any_of(addresses.begin(), addresses.end(), [&](net::IpAddress address) {
      const Addresses& taps = entry.second.lists.taps;
      return std::binary_search(taps.begin(), taps.end(), address);
    });
  });
}

}  // namespace sidetap::registry
