// Plans the next step for the webhook's own certificates and when to check again. Pure: state and
// time in, next step out.
//
// The life of an authority. A client that knows the bundle trusts the leaf at every moment:
//
//   kAddNext        the next authority joins the bundle, which goes to the API servers
//   kSwitch         an overlap later it signs the leaf; the old one stays in the bundle as previous
//   kDropPrevious   an overlap later, when no replica serves a leaf of the old one any more
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"
#include "webhook/certificates/x509.h"

namespace sidetap::certificates {

/// The contents of the Secret.
struct State {
  Pair authority;        ///< Signs the leaf.
  Pair next;             ///< Empty except during the first overlap.
  std::string previous;  ///< Only a certificate; empty except during the second overlap.
  /// The leaf, followed by a certificate for its authority from the previous authority while that
  /// is valid: running pods know only the authority at the time of their injection.
  Pair leaf;

  /// The authorities that clients must trust: current, next and previous. PEM.
  std::string bundle() const;
  friend bool operator==(const State&, const State&) = default;
};

struct Policy {
  std::chrono::seconds authority_life = std::chrono::hours(24 * 365 * 5);
  std::chrono::seconds leaf_life = std::chrono::hours(24 * 90);
  /// Time for the bundle to reach every API server, and for every replica to serve the new leaf.
  std::chrono::seconds overlap = std::chrono::hours(1);
};

enum class Step {
  kNothing,
  /// Creates everything: there is nothing usable. An authority that has only lost its key stays in
  /// the bundle as previous.
  kCreate,
  kIssueLeaf,
  kAddNext,
  kSwitch,
  kDropPrevious,
};
std::string_view step_name(Step step);

struct Plan {
  Step step = Step::kNothing;
  /// When the next step is due by time alone. Only for kNothing.
  TimePoint due;
  /// Why the step is due, if a certificate is outside its validity period: "the leaf is not valid
  /// yet". The clock of some replica is or was wrong, or no replica has run for long.
  std::string fault = {};
};

/// `names` are the DNS names that the leaf must be valid for.
Plan plan(const State& state, const std::vector<std::string>& names, TimePoint now,
          const Policy& policy);
/// The same for one leaf of `authority`, which is usable: kIssueLeaf or kNothing.
Plan plan_leaf(const Pair& leaf, const Pair& authority, const std::vector<std::string>& names,
               TimePoint now);

/// Returns the state after the step.
Result<State> carry_out(Step step, State state, const std::vector<std::string>& names,
                        TimePoint now, const Policy& policy);
/// A further leaf of the state's authority, as the collectors serve it. What follows it is what
/// follows the state's own leaf, so that the same clients trust both.
Result<Pair> further_leaf(const State& state, const std::vector<std::string>& names, TimePoint now,
                          const Policy& policy);

}  // namespace sidetap::certificates
