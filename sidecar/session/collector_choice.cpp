#include "sidecar/session/collector_choice.h"

#include <algorithm>
#include <utility>

#include "shared/fnv1a.h"

namespace sidetap::session {
namespace {

std::uint64_t finalized(std::uint64_t hash) {
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

}  // namespace

std::uint64_t collector_score(std::string_view tap, const CollectorPlace& place) {
  Fnv1a64 hash;
  hash.add(tap);
  hash.add(std::uint8_t{0});
  for (const std::byte byte : place.address.v6_bytes())
    hash.add(std::to_integer<std::uint8_t>(byte));
  hash.add(static_cast<std::uint8_t>(place.port >> 8));
  hash.add(static_cast<std::uint8_t>(place.port & 0xff));
  return finalized(hash.value());
}

CollectorChoice::Candidate* CollectorChoice::find(const CollectorPlace& place) {
  const auto found = std::find_if(candidates_.begin(), candidates_.end(),
                                  [&](const Candidate& each) { return each.place == place; });
  return found == candidates_.end() ? nullptr : &*found;
}

const CollectorChoice::Candidate* CollectorChoice::find(const CollectorPlace& place) const {
  const auto found = std::find_if(candidates_.begin(), candidates_.end(),
                                  [&](const Candidate& each) { return each.place == place; });
  return found == candidates_.end() ? nullptr : &*found;
}

void CollectorChoice::list(const std::vector<CollectorPlace>& places) {
  std::vector<Candidate> now;
  now.reserve(places.size());
  for (const CollectorPlace& place : places) {
    now.push_back({.place = place,
                   .score = collector_score(tap_, place),
                   .listed = true,
                   .backoff = async::Backoff(rest_)});
  }
  std::sort(now.begin(), now.end(), [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.place < b.place;
  });
  const auto same = [](const Candidate& a, const Candidate& b) { return a.place == b.place; };
  now.erase(std::unique(now.begin(), now.end(), same), now.end());
  if (now.size() > kMostCandidates) now.erase(now.begin() + kMostCandidates, now.end());
  for (Candidate& each : now) {
    const Candidate* const known = find(each.place);
    if (known == nullptr) continue;
    each.backoff = known->backoff;
    each.rests_until = known->rests_until;
    each.since = known->since;
  }
  if (capturing_) {
    const bool stays = std::any_of(
        now.begin(), now.end(), [&](const Candidate& each) { return each.place == *capturing_; });
    if (const Candidate* const present = find(*capturing_); present != nullptr && !stays) {
      now.push_back(*present);
      now.back().listed = false;
    }
  }
  candidates_ = std::move(now);
}

void CollectorChoice::drop_unlisted() {
  std::erase_if(candidates_,
                [this](const Candidate& each) { return !each.listed && capturing_ != each.place; });
}

void CollectorChoice::captures(const CollectorPlace& place, Time now) {
  Candidate* const candidate = find(place);
  if (candidate == nullptr || capturing_ == place) return;
  candidate->since = now;
  candidate->rests_until = Time();
  capturing_ = place;
  if (asked_ == place) trying_ = false;
  drop_unlisted();
}

void CollectorChoice::fails(const CollectorPlace& place, Time now, double chance) {
  Candidate* const candidate = find(place);
  if (candidate == nullptr) return;
  if (capturing_ == place) {
    capturing_.reset();
    candidate->backoff.session_ended(
        std::chrono::duration_cast<std::chrono::milliseconds>(now - candidate->since));
  }
  candidate->rests_until = now + candidate->backoff.wait(chance);
  if (asked_ == place) trying_ = false;
  drop_unlisted();
}

void CollectorChoice::left(const CollectorPlace& place) {
  if (capturing_ != place) return;
  capturing_.reset();
  drop_unlisted();
}

bool CollectorChoice::is_better(const CollectorPlace& place) const {
  const Candidate* const candidate = find(place);
  if (candidate == nullptr || !candidate->listed) return false;
  const Candidate* const present = capturing_ ? find(*capturing_) : nullptr;
  return present == nullptr || !present->listed || candidate < present;
}

std::optional<CollectorPlace> CollectorChoice::choose(Time now) {
  if (trying_ && is_better(*asked_)) return asked_;
  trying_ = false;
  for (const Candidate& each : candidates_) {
    if (!each.listed) continue;
    if (capturing_ == each.place) return asked_ = each.place;
    if (each.rests_until > now) continue;
    trying_ = true;
    return asked_ = each.place;
  }
  if (capturing_) return asked_ = capturing_;
  if (asked_ && find(*asked_) != nullptr) return asked_;
  const auto first = std::min_element(
      candidates_.begin(), candidates_.end(),
      [](const Candidate& a, const Candidate& b) { return a.rests_until < b.rests_until; });
  asked_.reset();
  if (first != candidates_.end()) asked_ = first->place;
  return asked_;
}

bool CollectorChoice::rests(const CollectorPlace& place, Time now) const {
  const Candidate* const candidate = find(place);
  return candidate != nullptr && candidate->rests_until > now;
}

std::optional<CollectorChoice::Time> CollectorChoice::changes_at(Time now) const {
  std::optional<Time> first;
  for (const Candidate& each : candidates_) {
    if (!each.listed) continue;
    if (capturing_ == each.place) break;  // those behind it are not wanted
    if (each.rests_until > now && (!first || each.rests_until < *first)) first = each.rests_until;
  }
  return first;
}

std::vector<CollectorPlace> CollectorChoice::ranking() const {
  std::vector<CollectorPlace> places;
  for (const Candidate& each : candidates_) {
    if (each.listed) places.push_back(each.place);
  }
  return places;
}

}  // namespace sidetap::session
