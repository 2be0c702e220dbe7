#include "webhook/page/status_text.h"

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "shared/net/text.h"
#include "webhook/page/attention.h"
#include "webhook/page/survey.h"

namespace sidetap::webhook::page {
namespace {

using inventory::Tap;

class StatusLines {
 public:
  void add(std::string_view word, std::initializer_list<std::string_view> fields) {
    text_ += word;
    for (const std::string_view field : fields) {
      text_ += '\t';
      text_ += net::without_controls(field, ' ');
    }
    text_ += '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

bool is_in(const StatusScope& scope, std::string_view name_space, std::string_view pod) {
  return (scope.name_space.empty() || scope.name_space == name_space) &&
         (scope.pod.empty() || scope.pod == pod);
}

std::string_view yes_or_no(bool value) { return value ? "yes" : "no"; }

std::string rate_text(double rate) { return std::to_string(whole_rate(rate)); }

std::string sensors_text(const Tap& tap) {
  std::string text;
  if (!tap.report) return text;
  for (const auto& sensor : tap.report->sensors) {
    if (!text.empty()) text += ", ";
    text.append(sensor.sensor).append(" ").append(sensor.state);
  }
  return text;
}

void add_tap(StatusLines& lines, const Tap& tap, std::uint64_t generation, inventory::Time now) {
  const inventory::Rates rates = tap.rates();
  const std::string_view profile = tap.report ? std::string_view(tap.report->profile) : "";
  const std::string_view release = tap.report ? std::string_view(tap.report->release) : "";
  lines.add("tap",
            {tap.pod.name_space, tap.pod.name, tap.pod.node, inventory::name_of(tap.standing()),
             sensors_text(tap), rate_text(rates.seen_packets), rate_text(rates.forwarded_packets),
             std::to_string(tap.recently_lost()), words_of(issues_of(tap, generation, now)),
             profile, release});
  if (!tap.report || !tap.report->mesh) return;
  const auto& mesh = *tap.report->mesh;
  lines.add("mesh", {tap.pod.name_space, tap.pod.name, mesh.kind, std::to_string(mesh.read),
                     std::to_string(mesh.legs), std::to_string(mesh.covered)});
}

void add_details(StatusLines& lines, const Tap& tap) {
  if (!tap.report) return;
  const auto& report = *tap.report;
  for (const auto& interface : report.interfaces)
    lines.add("interface", {interface.name, yes_or_no(interface.capturing)});
  for (const auto& sensor : report.sensors)
    lines.add("sensor", {sensor.sensor, sensor.state, sensor.reason});
  lines.add("counts",
            {std::to_string(report.counts.seen), std::to_string(report.counts.owned),
             std::to_string(report.counts.forwarded), std::to_string(report.counts.filtered)});
  for (const auto& [cause, packets] : report.lost)
    if (packets > 0) lines.add("lost", {cause, std::to_string(packets)});
}

void add_untapped(StatusLines& lines, const coverage::Summary* coverage, const StatusScope& scope) {
  lines.add("coverage", {yes_or_no(coverage != nullptr)});
  if (coverage == nullptr) return;
  for (const coverage::Untapped& pod : coverage->listed) {
    if (!is_in(scope, pod.name_space, pod.pod)) continue;
    lines.add("untapped", {pod.name_space, pod.pod, pod.owner, coverage::name_of(pod.cause),
                           pod.detail, coverage::remedy_of(pod.cause)});
  }
}

void add_attention(StatusLines& lines, const registry::View& view,
                   const coverage::Summary* coverage, const StatusScope& scope,
                   inventory::Time now) {
  // The summary counts the pods of all namespaces.
  const bool all = scope.name_space.empty();
  const Survey survey = survey_of(view, now, scope.name_space);
  for (const Attention& item : attention_of(survey, all ? coverage : nullptr))
    lines.add("attention", {name_of(item.severity), item.text});
}

}  // namespace

std::string status_text(const registry::View& view, const coverage::Summary* coverage,
                        const StatusScope& scope, inventory::Time now) {
  StatusLines lines;
  lines.add("sidetap", {SIDETAP_VERSION, std::to_string(view.generation)});
  const Tap* newest = nullptr;
  for (const auto& [name, tap] : view.inventory.taps()) {
    if (!is_in(scope, tap.pod.name_space, tap.pod.name)) continue;
    add_tap(lines, tap, view.generation, now);
    newest = &tap;
  }
  if (!scope.pod.empty() && newest != nullptr) add_details(lines, *newest);
  add_untapped(lines, coverage, scope);
  if (scope.pod.empty()) add_attention(lines, view, coverage, scope, now);
  return lines.take();
}

}  // namespace sidetap::webhook::page
