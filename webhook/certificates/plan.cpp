#include "webhook/certificates/plan.h"

#include <algorithm>
#include <utility>

namespace sidetap::certificates {
namespace {

constexpr const char* kAuthorityName = "sidetap webhook CA";

/// When the pair was created: undoes the certificate's backdating.
TimePoint made_at(const Facts& facts) { return facts.not_before + kBackdate; }

TimePoint two_thirds(const Facts& facts) {
  const TimePoint made = made_at(facts);
  return made + (facts.not_after - made) / 3 * 2;
}

/// What is wrong with the validity period of a certificate; empty if nothing is wrong or there is
/// no certificate.
std::string fault_of(const char* what, const std::string& certificate, TimePoint now) {
  const auto facts = read_facts(certificate);
  if (facts && now < facts->not_before) return std::string(what) + " is not valid yet";
  if (facts && now >= facts->not_after) return std::string(what) + " has ended";
  return {};
}

/// Whether replicas may still serve leaves of this authority that clients can verify. Ignores the
/// start of its validity: the clock of the replica that created it may be ahead.
bool is_trusted(const std::string& certificate, TimePoint now) {
  const auto facts = read_facts(certificate);
  return facts && facts->authority && now < facts->not_after;
}

bool usable_authority(const Pair& pair, TimePoint now) {
  return is_trusted(pair.certificate, now) && fault_of("", pair.certificate, now).empty() &&
         key_fits(pair);
}

bool usable_leaf(const Pair& leaf, const Pair& authority, const std::vector<std::string>& names) {
  const auto facts = read_facts(leaf.certificate);
  if (!facts || !key_fits(leaf)) return false;
  const bool covers = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::find(facts->dns_names.begin(), facts->dns_names.end(), name) !=
           facts->dns_names.end();
  });
  return covers && is_signed_by(leaf.certificate, authority.certificate);
}

}  // namespace

std::string State::bundle() const { return authority.certificate + next.certificate + previous; }

std::string_view step_name(Step step) {
  switch (step) {
    case Step::kNothing:
      return "nothing";
    case Step::kCreate:
      return "create";
    case Step::kIssueLeaf:
      return "issue-leaf";
    case Step::kAddNext:
      return "add-next-authority";
    case Step::kSwitch:
      return "switch-authority";
    case Step::kDropPrevious:
      return "drop-previous-authority";
  }
  return {};
}

Plan plan_leaf(const Pair& leaf, const Pair& authority, const std::vector<std::string>& names,
               TimePoint now) {
  const std::string fault = fault_of("the leaf", leaf.certificate, now);
  if (!fault.empty() || !usable_leaf(leaf, authority, names)) {
    return {Step::kIssueLeaf, now, fault};
  }
  const TimePoint due = two_thirds(*read_facts(leaf.certificate));
  if (due <= now) return {Step::kIssueLeaf, now};
  return {Step::kNothing, due};
}

Plan plan(const State& state, const std::vector<std::string>& names, TimePoint now,
          const Policy& policy) {
  if (!usable_authority(state.authority, now)) {
    // The next authority is already in every bundle, so prefer it to a new start.
    return {usable_authority(state.next, now) ? Step::kSwitch : Step::kCreate, now,
            fault_of("the authority", state.authority.certificate, now)};
  }
  Plan of_leaf = plan_leaf(state.leaf, state.authority, names, now);
  if (of_leaf.step != Step::kNothing) return of_leaf;
  const Facts leaf = *read_facts(state.leaf.certificate);
  const Facts authority = *read_facts(state.authority.certificate);
  TimePoint due = of_leaf.due;

  if (!state.next.empty()) {
    if (!usable_authority(state.next, now)) {
      return {Step::kAddNext, now, fault_of("the next authority", state.next.certificate, now)};
    }
    const TimePoint known = made_at(*read_facts(state.next.certificate)) + policy.overlap;
    if (known <= now) return {Step::kSwitch, now};
    due = std::min(due, known);
  } else if (two_thirds(authority) <= now) {
    return {Step::kAddNext, now};
  } else {
    due = std::min(due, two_thirds(authority));
  }
  if (!state.previous.empty()) {
    const TimePoint served = made_at(leaf) + policy.overlap;
    if (served <= now) return {Step::kDropPrevious, now};
    due = std::min(due, served);
  }
  return {Step::kNothing, due};
}

Result<State> carry_out(Step step, State state, const std::vector<std::string>& names,
                        TimePoint now, const Policy& policy) {
  if (step == Step::kNothing) return state;
  if (step == Step::kDropPrevious) {
    state.previous.clear();
    return state;
  }
  if (step == Step::kCreate || step == Step::kAddNext) {
    auto made = make_authority(kAuthorityName, now, policy.authority_life);
    if (!made) return made.error();
    state.next = std::move(*made);
  }
  if (step == Step::kAddNext) return state;
  std::string chain = rest_of_chain(state.leaf.certificate, now);
  if (step == Step::kCreate || step == Step::kSwitch) {
    // Fails if the old authority has expired or lost its key. Then nobody can trust it anymore.
    auto cross = cross_sign(state.authority, state.next.certificate, now);
    chain = cross ? std::move(*cross) : std::string();
    state.previous = is_trusted(state.authority.certificate, now)
                         ? std::move(state.authority.certificate)
                         : std::string();
    state.authority = std::exchange(state.next, {});
  }
  auto leaf = issue_leaf(state.authority, names, now, policy.leaf_life);
  if (!leaf) return leaf.error();
  state.leaf = std::move(*leaf);
  state.leaf.certificate += chain;
  return state;
}

Result<Pair> further_leaf(const State& state, const std::vector<std::string>& names, TimePoint now,
                          const Policy& policy) {
  auto leaf = issue_leaf(state.authority, names, now, policy.leaf_life);
  if (leaf) leaf->certificate += rest_of_chain(state.leaf.certificate, now);
  return leaf;
}

}  // namespace sidetap::certificates
