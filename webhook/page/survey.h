// What all taps together do now: the numbers of the page's overview. Pure.
#pragma once

#include <array>
#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "webhook/inventory/inventory.h"
#include "webhook/registry/view.h"

namespace sidetap::webhook::page {

/// Sensors beyond these are counted and not named.
inline constexpr std::size_t kMostSensors = 1'000;
/// Other groups than these together count as one, kOthers: names come from taps, which may be
/// hostile, and the registry's thread makes the survey.
inline constexpr std::size_t kMostGroups = 100;
inline constexpr std::string_view kOthers = "others";
/// A connected tap that has reported before, and now not for so long, is silent.
inline constexpr std::chrono::milliseconds kSilentAfter{60'000};

/// What is to be looked at in a tap.
enum class Issue : std::uint8_t {
  kGone,  ///< Its standing; kNoSensor and kPaused likewise.
  kNoSensor,
  kNotCapturing,  ///< One of its interfaces is not captured.
  kNotFollowing,  ///< It cannot apply what the registry told it.
  kSilent,        ///< It has not reported for kSilentAfter.
  kLosing,        ///< It has lost packets within its history.
  kBehind,        ///< It applies settings of an older generation.
  kPaused,
  kUnreported,  ///< Nothing is known but that it is there.
};
inline constexpr std::size_t kIssueCount = 9;
/// "gone", "no-sensor" and so on; a static string.
std::string_view name_of(Issue issue);

using Issues = std::bitset<kIssueCount>;
/// All but kGone are issues of connected taps only. `generation` is that of the profiles in force.
Issues issues_of(const inventory::Tap& tap, std::uint64_t generation, inventory::Time now);
/// Their names, separated by blanks.
std::string words_of(const Issues& issues);

/// A rate as it is shown: a whole number, and 0 for what is none.
std::int64_t whole_rate(double rate);

/// Taps that have something in common: how many, and the first of them as "NAMESPACE/POD".
struct Named {
  static constexpr std::size_t kMostNames = 3;
  std::size_t count = 0;
  std::vector<std::string> names{};
};

/// By a name that taps tell: at most kMostGroups, and kOthers.
using Groups = std::map<std::string, std::uint64_t, std::less<>>;

struct SensorTotals {
  std::size_t taps = 0;
  std::size_t capturing = 0;
  Groups states{};
  std::string reason{};  ///< One of those why a tap has no session; empty if each has one.
};

/// Rates and sensors are those of connected taps.
struct Survey {
  std::size_t taps = 0;
  std::array<std::size_t, inventory::kStandings> by_standing{};
  inventory::Rates rates{};
  /// Since the start of each tap that is still known.
  Groups lost{};
  std::uint64_t recently_lost = 0;
  std::map<std::string, SensorTotals, std::less<>> sensors{};
  std::size_t sensors_left_out = 0;
  Groups releases{};
  Groups profiles{};

  std::array<Named, kIssueCount> issues{};
  const Named& of(Issue issue) const { return issues.at(static_cast<std::size_t>(issue)); }
};

/// `name_space`: of taps in that namespace only; empty: of all.
Survey survey_of(const registry::View& view, inventory::Time now, std::string_view name_space = {});

}  // namespace sidetap::webhook::page
