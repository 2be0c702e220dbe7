// What has to be done about the webhook's own certificates, and when to look again. Pure: the state
// and the time in, the next step out.
//
// The life of an authority, so that a client which knows the bundle trusts the leaf at every
// moment:
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
  Pair next;             ///< Empty but for the first overlap.
  std::string previous;  ///< Certificate only; empty but for the second overlap.
  /// Behind the leaf, while it is valid, a certificate for this authority by the one before it:
  /// running pods know only the authority of the time of their injection.
  Pair leaf;

  /// Whom a client has to trust: authority, next and previous, PEM.
  std::string bundle() const;
  friend bool operator==(const State&, const State&) = default;
};

struct Policy {
  std::chrono::seconds authority_life = std::chrono::hours(24 * 365 * 5);
  std::chrono::seconds leaf_life = std::chrono::hours(24 * 90);
  /// For the bundle to reach every API server, and for every replica to serve the new leaf.
  std::chrono::seconds overlap = std::chrono::hours(1);
};

enum class Step {
  kNothing,
  /// Everything anew: there is nothing, or nothing that can be used. An authority that has lost its
  /// key only stays in the bundle as previous.
  kCreate,
  kIssueLeaf,
  kAddNext,
  kSwitch,
  kDropPrevious,
};
std::string_view step_name(Step step);

struct Plan {
  Step step = Step::kNothing;
  /// When time alone asks for the next step; for kNothing only.
  TimePoint due;
  /// Where the step is due because a certificate is out of its dates: "the leaf is not valid yet".
  /// Then the clock of some replica is or was wrong, or nobody has looked for long.
  std::string fault = {};
};

/// `names`: what the leaf must be valid for.
Plan plan(const State& state, const std::vector<std::string>& names, TimePoint now,
          const Policy& policy);

/// The state after the step.
Result<State> carry_out(Step step, State state, const std::vector<std::string>& names,
                        TimePoint now, const Policy& policy);

}  // namespace sidetap::certificates
