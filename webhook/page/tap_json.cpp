// The part of page_json.h that is about single taps.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "shared/registry/report_members.h"
#include "webhook/page/page_json.h"
#include "webhook/page/page_writer.h"
#include "webhook/page/survey.h"

namespace sidetap::webhook::page {
namespace {

using inventory::Sample;
using inventory::Tap;
using sidetap::registry::Report;

constexpr std::size_t kRowBytes = 200;

/// "2 capturing, 1 dialling"; empty without sensors.
std::string sessions_of(const Tap& tap) {
  if (!tap.report) return {};
  std::map<std::string_view, std::size_t> states;
  for (const auto& sensor : tap.report->sensors) ++states[sensor.state];
  std::string text;
  for (const auto& [state, number] : states) {
    if (!text.empty()) text += ", ";
    text.append(std::to_string(number)).append(" ").append(state);
  }
  return text;
}

/// In the order of kTapColumns.
void write_row(PageWriter& json, const Tap& tap, std::uint64_t generation, inventory::Time now) {
  const inventory::Rates rates = tap.rates();
  const Report none{};
  const Report& report = tap.report ? *tap.report : none;
  json.begin_array().string(tap.pod.name_space).string(tap.pod.name).string(tap.pod.node);
  json.string(inventory::name_of(tap.standing())).string(sessions_of(tap));
  json.rate(rates.seen_packets).rate(rates.seen_bytes);
  json.rate(rates.forwarded_packets).rate(rates.forwarded_bytes);
  json.whole(tap.recently_lost()).string(report.release).string(report.profile);
  json.whole(report.generation).time(tap.since);
  json.string(words_of(issues_of(tap, generation, now))).end_array();
}

void write_member(PageWriter& json, std::string_view key, const std::string& value) {
  json.member(key, value);
}
void write_member(PageWriter& json, std::string_view key, bool value) { json.flag(key, value); }
void write_member(PageWriter& json, std::string_view key, std::uint64_t value) {
  json.count(key, value);
}

template <typename Part>
void write_part(PageWriter& json, const Part& part) {
  json.begin_object();
  for_each_member(part,
                  [&json](const char* key, const auto& value) { write_member(json, key, value); });
  json.end_object();
}

void write_report(PageWriter& json, const Report& report) {
  json.member("release", report.release).member("profile", report.profile);
  json.count("generation", report.generation).flag("following", report.following);
  json.key("interfaces").begin_array();
  for (const auto& interface : report.interfaces) write_part(json, interface);
  json.end_array().key("sensors").begin_array();
  for (const auto& sensor : report.sensors) write_part(json, sensor);
  json.end_array().key("counts");
  write_part(json, report.counts);
  json.losses(report.lost);
  if (!report.mesh) return;
  json.key("mesh");
  write_part(json, *report.mesh);
}

void write_series(PageWriter& json, std::string_view name, const Tap& tap,
                  std::uint64_t Sample::*total) {
  json.key(name).begin_array();
  for (const Sample& sample : tap.history) json.whole(sample.*total);
  json.end_array();
}

void write_history(PageWriter& json, const Tap& tap) {
  json.key("history").begin_object().key("at").begin_array();
  for (const Sample& sample : tap.history) json.time(sample.at);
  json.end_array();
  write_series(json, "seen", tap, &Sample::seen);
  write_series(json, "seen_bytes", tap, &Sample::seen_bytes);
  write_series(json, "forwarded", tap, &Sample::forwarded);
  write_series(json, "forwarded_bytes", tap, &Sample::forwarded_bytes);
  write_series(json, "lost", tap, &Sample::lost);
  json.end_object();
}

}  // namespace

std::string taps_json(const registry::View& view, inventory::Time now) {
  std::string text;
  text.reserve(1024 + kRowBytes * view.inventory.taps().size());
  PageWriter json(text);
  json.begin_object();
  json.time("now", now).key("columns").begin_array();
  for (const std::string_view column : kTapColumns) json.string(column);
  json.end_array().key("rows").begin_array();
  for (const auto& [name, tap] : view.inventory.taps()) {
    write_row(json, tap, view.generation, now);
  }
  json.end_array().end_object();
  return text;
}

std::optional<std::string> tap_json(const registry::View& view,
                                    const inventory::Inventory::Name& name, inventory::Time now) {
  const Tap* const tap = view.inventory.find(name);
  if (tap == nullptr) return std::nullopt;
  std::string text;
  PageWriter json(text);
  json.begin_object();
  json.time("now", now).member("namespace", tap->pod.name_space).member("pod", tap->pod.name);
  json.member("uid", tap->pod.uid).member("node", tap->pod.node);
  json.member("standing", inventory::name_of(tap->standing())).key("addresses").begin_array();
  for (const auto& address : tap->addresses) json.string(address.to_string());
  json.end_array();
  json.count("rules", tap->rules).time("since", tap->since);
  json.time("reported", tap->reported).time("ended", tap->ended);
  if (tap->report) write_report(json, *tap->report);
  json.rates(tap->rates());
  json.count("recently_lost", tap->recently_lost());
  write_history(json, *tap);
  json.end_object();
  return text;
}

}  // namespace sidetap::webhook::page
