#include "webhook/coverage/coverage_table.h"

#include <iterator>
#include <utility>

namespace sidetap::webhook::coverage {
namespace {

Cause cause_of(const PodFacts& pod, const NamespaceFacts& space) {
  if (pod.declined) return Cause::kDeclined;
  if (pod.owner.empty()) return Cause::kBare;
  if (pod.of_job) return Cause::kJob;
  const bool older = space.selected && pod.created && *pod.created < *space.selected;
  return older ? Cause::kOlder : Cause::kMissed;
}

bool counts(const PodFacts& pod, Selects selects) {
  return selects == Selects::kAll || (selects == Selects::kThoseAsked && pod.asks);
}

}  // namespace

bool CoverageTable::set(NamespaceFacts facts) {
  ++changes_;
  Namespace& space = namespaces_[facts.name];
  // Of a namespace that was not known, all pods were kept.
  const bool wider = space.facts && facts.selects > space.facts->selects;
  space.round = namespace_round_;
  space.facts = std::move(facts);
  if (space.facts->selects == Selects::kNone) drop_pods(space);
  return wider;
}

void CoverageTable::remove_namespace(const std::string& name) {
  const auto found = namespaces_.find(name);
  if (found == namespaces_.end()) return;
  ++changes_;
  pods_ -= found->second.pods.size();
  namespaces_.erase(found);
}

void CoverageTable::namespaces_end() {
  ++changes_;
  for (auto one = namespaces_.begin(); one != namespaces_.end();) {
    Namespace& space = one->second;
    // Pods of a namespace that is not known stay: the watch of namespaces may be late.
    if (!space.facts || space.round == namespace_round_) {
      ++one;
      continue;
    }
    pods_ -= space.pods.size();
    one = namespaces_.erase(one);
  }
}

void CoverageTable::pods_begin() {
  ++pod_round_;
  complete_ = true;
}

void CoverageTable::set(const PodName& name, std::optional<PodFacts> facts) {
  if (!facts) return erase_pod(name);
  ++changes_;
  const auto space = namespaces_.find(name.name_space);
  const bool known = space != namespaces_.end() && space->second.pods.contains(name.name);
  if (!known && pods_ >= most_pods_) {
    complete_ = false;
    return;
  }
  if (!known) ++pods_;
  namespaces_[name.name_space].pods.insert_or_assign(name.name, Pod{*std::move(facts), pod_round_});
}

void CoverageTable::pods_end() {
  ++changes_;
  for (auto one = namespaces_.begin(); one != namespaces_.end();) {
    Namespace& space = one->second;
    pods_ -= std::erase_if(space.pods,
                           [this](const auto& pod) { return pod.second.round != pod_round_; });
    one = space.facts || !space.pods.empty() ? std::next(one) : namespaces_.erase(one);
  }
}

Selects CoverageTable::selects(const std::string& name_space) const {
  const auto found = namespaces_.find(name_space);
  const bool known = found != namespaces_.end() && found->second.facts;
  return known ? found->second.facts->selects : Selects::kAll;
}

Summary CoverageTable::summary() const {
  Summary made;
  made.complete = complete_;
  for (const auto& [name, space] : namespaces_) {
    if (!space.facts) continue;
    for (const auto& [pod, entry] : space.pods) {
      const PodFacts& facts = entry.facts;
      if (!counts(facts, space.facts->selects)) continue;
      if (facts.tapped) {
        ++made.tapped;
        continue;
      }
      const Cause cause = cause_of(facts, *space.facts);
      ++made.untapped;
      ++made.by_cause.at(static_cast<std::size_t>(cause));
      if (made.listed.size() < Summary::kMostListed)
        made.listed.push_back({name, pod, facts.owner, cause, facts.detail});
    }
  }
  return made;
}

void CoverageTable::erase_pod(const PodName& name) {
  const auto space = namespaces_.find(name.name_space);
  if (space == namespaces_.end() || space->second.pods.erase(name.name) == 0) return;
  ++changes_;
  --pods_;
  if (!space->second.facts && space->second.pods.empty()) namespaces_.erase(space);
}

void CoverageTable::drop_pods(Namespace& space) {
  pods_ -= space.pods.size();
  space.pods.clear();
}

}  // namespace sidetap::webhook::coverage
