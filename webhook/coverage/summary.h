// Which pods in selected namespaces have a tap, and why the others have none. Immutable, and shared
// by threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sidetap::webhook::coverage {

/// Why a running pod has no tap.
enum class Cause : std::uint8_t {
  kDeclined,  ///< The webhook's policy declines it; the detail says why.
  kOlder,     ///< It was created before its namespace was selected: restart its owner.
  kMissed,    ///< The webhook would inject it, and was not asked or did not answer.
  kBare,      ///< Like kOlder or kMissed, and no owner would replace it: create it anew.
  kJob,       ///< Like kOlder or kMissed, and a Job that runs is not restarted: wait for its end.
};
inline constexpr std::size_t kCauseCount = 5;
/// "declined", "older", "missed", "bare", "job"; a static string.
std::string_view name_of(Cause cause);
/// One or two sentences that say what to do.
std::string_view remedy_of(Cause cause);

struct Untapped {
  std::string name_space{};
  std::string pod{};
  std::string owner{};  ///< "Deployment/web", or empty.
  Cause cause = Cause::kDeclined;
  std::string detail{};  ///< As the webhook's answer would say it; may be empty.
};

struct Summary {
  std::size_t tapped = 0;  ///< Running pods with the tap's container.
  std::size_t untapped = 0;
  std::array<std::size_t, kCauseCount> by_cause{};
  /// By namespace and name, at most kMostListed.
  std::vector<Untapped> listed{};
  static constexpr std::size_t kMostListed = 1'000;
  bool complete = true;  ///< False: there are more pods than the webhook looks at.
};
/// One JSON object without the end of its line:
///   {"tapped","untapped","complete","causes":{CAUSE:number},
///    "pods":[{"namespace","pod","owner","cause","detail","remedy"}]}
/// `owner` is null for a pod without one. Every cause is there.
std::string json_of(const Summary& summary);

}  // namespace sidetap::webhook::coverage
