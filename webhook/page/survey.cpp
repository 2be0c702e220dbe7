#include "webhook/page/survey.h"

#include <algorithm>
#include <cmath>

namespace sidetap::webhook::page {
namespace {

using inventory::Standing;
using inventory::Tap;
using sidetap::registry::InterfaceReport;
using sidetap::registry::Report;
using sidetap::registry::SensorReport;

constexpr std::array<std::string_view, kIssueCount> kIssueNames = {
    "gone",   "no-sensor", "not-capturing", "not-following", "silent",
    "losing", "behind",    "paused",        "unreported"};

void add_named(Named& into, const Tap& tap) {
  ++into.count;
  if (into.names.size() < Named::kMostNames) {
    into.names.push_back(tap.pod.name_space + "/" + tap.pod.name);
  }
}

void add_to_group(Groups& groups, std::string_view name, std::uint64_t number) {
  auto group = groups.find(name);
  if (group == groups.end() && groups.size() >= kMostGroups) {
    name = kOthers;
    group = groups.find(name);
  }
  if (group == groups.end()) group = groups.emplace(name, std::uint64_t{0}).first;
  group->second += number;
}

void add_sensor(Survey& survey, const SensorReport& report) {
  if (survey.sensors.size() >= kMostSensors && !survey.sensors.contains(report.sensor)) {
    ++survey.sensors_left_out;
    return;
  }
  SensorTotals& totals = survey.sensors[report.sensor];
  ++totals.taps;
  add_to_group(totals.states, report.state, 1);
  if (report.state == sidetap::registry::kCapturing) ++totals.capturing;
  if (totals.reason.empty()) totals.reason = report.reason;
}

void add_rates(inventory::Rates& sum, const inventory::Rates& more) {
  sum.seen_packets += more.seen_packets;
  sum.seen_bytes += more.seen_bytes;
  sum.forwarded_packets += more.forwarded_packets;
  sum.forwarded_bytes += more.forwarded_bytes;
  sum.lost_packets += more.lost_packets;
}

void add_connected(Survey& survey, const Tap& tap) {
  add_rates(survey.rates, tap.rates());
  survey.recently_lost += tap.recently_lost();
  if (!tap.report) return;
  for (const SensorReport& sensor : tap.report->sensors) add_sensor(survey, sensor);
  add_to_group(survey.releases, tap.report->release, 1);
  add_to_group(survey.profiles, tap.report->profile, 1);
}

bool captures_all(const Report& report) {
  return std::all_of(report.interfaces.begin(), report.interfaces.end(),
                     [](const InterfaceReport& interface) { return interface.capturing; });
}

}  // namespace

std::string_view name_of(Issue issue) { return kIssueNames.at(static_cast<std::size_t>(issue)); }

Issues issues_of(const Tap& tap, std::uint64_t generation, inventory::Time now) {
  Issues issues;
  const auto set = [&issues](Issue issue, bool holds) {
    issues.set(static_cast<std::size_t>(issue), holds);
  };
  const Standing standing = tap.standing();
  set(Issue::kGone, standing == Standing::kGone);
  if (tap.ended) return issues;
  set(Issue::kNoSensor, standing == Standing::kNoSensor);
  set(Issue::kPaused, standing == Standing::kPaused);
  set(Issue::kUnreported, !tap.report);
  if (!tap.report) return issues;
  const Report& report = *tap.report;
  set(Issue::kNotCapturing, !captures_all(report));
  set(Issue::kNotFollowing, !report.following);
  set(Issue::kSilent, tap.reported && now - *tap.reported >= kSilentAfter);
  set(Issue::kLosing, tap.recently_lost() > 0);
  // Generation 0: it takes no orders, or has none yet.
  set(Issue::kBehind, report.following && report.generation != 0 && report.generation < generation);
  return issues;
}

std::string words_of(const Issues& issues) {
  std::string words;
  for (std::size_t i = 0; i < issues.size(); ++i) {
    if (!issues.test(i)) continue;
    if (!words.empty()) words += ' ';
    words += name_of(static_cast<Issue>(i));
  }
  return words;
}

std::int64_t whole_rate(double rate) {
  return std::isfinite(rate) ? std::llround(std::clamp(rate, 0.0, 1e15)) : 0;
}

Survey survey_of(const registry::View& view, inventory::Time now, std::string_view name_space) {
  Survey survey;
  for (const auto& [key, tap] : view.inventory.taps()) {
    if (!name_space.empty() && tap.pod.name_space != name_space) continue;
    ++survey.taps;
    ++survey.by_standing.at(static_cast<std::size_t>(tap.standing()));
    const Issues issues = issues_of(tap, view.generation, now);
    for (std::size_t i = 0; i < issues.size(); ++i) {
      if (issues.test(i)) add_named(survey.issues.at(i), tap);
    }
    if (tap.report) {
      for (const auto& [cause, packets] : tap.report->lost)
        add_to_group(survey.lost, cause, packets);
    }
    if (!tap.ended) add_connected(survey, tap);
  }
  return survey;
}

}  // namespace sidetap::webhook::page
