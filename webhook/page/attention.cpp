#include "webhook/page/attention.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace sidetap::webhook::page {
namespace {

/// Sensors that nobody reaches: so many have an entry each.
constexpr std::size_t kMostUnreached = 5;

/// `one` and `many` follow the number.
struct IssueWords {
  Issue issue;
  Severity severity;
  std::string_view one;
  std::string_view many;
};
constexpr std::array<IssueWords, kIssueCount> kIssueWords = {{
    {Issue::kGone, Severity::kError, "tap disconnected unexpectedly",
     "taps disconnected unexpectedly"},
    {Issue::kNoSensor, Severity::kError, "tap is connected and does not forward",
     "taps are connected and do not forward"},
    {Issue::kNotCapturing, Severity::kError, "tap does not capture one of its interfaces",
     "taps do not capture one of their interfaces"},
    {Issue::kNotFollowing, Severity::kError, "tap cannot apply the settings of its profile",
     "taps cannot apply the settings of their profiles"},
    {Issue::kSilent, Severity::kWarning, "tap has not reported for a minute",
     "taps have not reported for a minute"},
    {Issue::kLosing, Severity::kWarning, "tap has lost packets in the last 15 minutes",
     "taps have lost packets in the last 15 minutes"},
    {Issue::kBehind, Severity::kNote, "tap still has the settings before the last change",
     "taps still have the settings before the last change"},
    {Issue::kPaused, Severity::kNote, "tap is paused by its profile",
     "taps are paused by their profiles"},
    {Issue::kUnreported, Severity::kNote, "tap has not reported: it is new, or of an older release",
     "taps have not reported: they are new, or of an older release"},
}};

std::string counted(std::size_t number, std::string_view one, std::string_view many) {
  return std::to_string(number) + " " + std::string(number == 1 ? one : many);
}

/// ": shop/web, shop/db and 3 more."
std::string names_of(const Named& taps) {
  std::string text = ": ";
  for (std::size_t i = 0; i < taps.names.size(); ++i) {
    if (i > 0) text += ", ";
    text += taps.names[i];
  }
  if (taps.count > taps.names.size()) {
    text += " and " + std::to_string(taps.count - taps.names.size()) + " more";
  }
  return text + ".";
}

class AttentionList {
 public:
  void add(Severity severity, std::string text, std::string link) {
    list_.push_back({severity, std::move(text), std::move(link)});
  }
  std::vector<Attention> take() {
    std::stable_sort(list_.begin(), list_.end(), [](const Attention& a, const Attention& b) {
      return a.severity < b.severity;
    });
    return std::move(list_);
  }

 private:
  std::vector<Attention> list_;
};

void add_coverage(AttentionList& list, const coverage::Summary* coverage) {
  if (coverage == nullptr || coverage->untapped == 0) return;
  list.add(Severity::kWarning,
           counted(coverage->untapped, "running pod in the selected namespaces has",
                   "running pods in the selected namespaces have") +
               " no tap.",
           "#/coverage");
}

void add_sensors(AttentionList& list, const Survey& survey) {
  std::size_t unreached = 0;
  for (const auto& [sensor, totals] : survey.sensors) {
    if (totals.capturing > 0 || ++unreached > kMostUnreached) continue;
    std::string text = "No tap has a session with the sensor " + sensor;
    if (!totals.reason.empty()) text += ": " + totals.reason;
    list.add(Severity::kError, text + ".", "#/forwarding");
  }
  if (unreached > kMostUnreached) {
    list.add(Severity::kError,
             counted(unreached - kMostUnreached, "more sensor has", "more sensors have") +
                 " no session with any tap.",
             "#/forwarding");
  }
}

}  // namespace

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      break;
  }
  return "note";
}

std::vector<Attention> attention_of(const Survey& survey, const coverage::Summary* coverage) {
  AttentionList list;
  add_coverage(list, coverage);
  add_sensors(list, survey);
  for (const IssueWords& words : kIssueWords) {
    const Named& taps = survey.of(words.issue);
    if (taps.count == 0) continue;
    list.add(words.severity, counted(taps.count, words.one, words.many) + names_of(taps),
             "#/taps?issue=" + std::string(name_of(words.issue)));
  }
  return list.take();
}

}  // namespace sidetap::webhook::page
