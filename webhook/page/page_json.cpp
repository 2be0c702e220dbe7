#include "webhook/page/page_json.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "webhook/page/attention.h"
#include "webhook/page/page_writer.h"
#include "webhook/page/survey.h"

namespace sidetap::webhook::page {
namespace {

using inventory::Standing;

void write_standings(PageWriter& json, const Survey& survey) {
  json.key("taps").begin_object();
  json.count("all", survey.taps);
  for (std::size_t i = 0; i < survey.by_standing.size(); ++i) {
    json.count(inventory::name_of(static_cast<Standing>(i)), survey.by_standing.at(i));
  }
  json.end_object();
}

void write_sensors(PageWriter& json, const Survey& survey) {
  json.key("sensors").begin_array();
  for (const auto& [sensor, totals] : survey.sensors) {
    json.begin_object().member("sensor", sensor);
    json.count("taps", totals.taps).count("capturing", totals.capturing);
    json.key("states").begin_object();
    for (const auto& [state, number] : totals.states) json.count(state, number);
    json.end_object().member("reason", totals.reason).end_object();
  }
  json.end_array();
  json.count("sensors_left_out", survey.sensors_left_out);
}

void write_groups(PageWriter& json, std::string_view name, const Groups& groups) {
  json.key(name).begin_array();
  for (const auto& [group, taps] : groups) {
    json.begin_object().member("name", group);
    json.count("taps", taps).end_object();
  }
  json.end_array();
}

void write_attention(PageWriter& json, const std::vector<Attention>& list) {
  json.key("attention").begin_array();
  for (const Attention& item : list) {
    json.begin_object().member("severity", name_of(item.severity)).member("text", item.text);
    json.member("link", item.link).end_object();
  }
  json.end_array();
}

struct Edge {
  std::size_t taps = 0;
  std::size_t capturing = 0;
  double bytes = 0;
};
/// By namespace and sensor.
using Edges = std::map<std::pair<std::string_view, std::string_view>, Edge>;

void add_edges(Edges& edges, const inventory::Tap& tap) {
  const auto& sensors = tap.report->sensors;
  std::size_t capturing = 0;
  for (const auto& sensor : sensors)
    capturing += sensor.state == sidetap::registry::kCapturing ? 1 : 0;
  const double bytes = tap.rates().forwarded_bytes;
  for (const auto& sensor : sensors) {
    Edge& edge = edges[{tap.pod.name_space, sensor.sensor}];
    ++edge.taps;
    if (sensor.state != sidetap::registry::kCapturing) continue;
    ++edge.capturing;
    edge.bytes += bytes / static_cast<double>(capturing);
  }
}

struct ListedService {
  int rank = 0;  ///< By kind: what clients see of partly tapped Services is the least obvious.
  std::string_view name{};
  std::string_view kind{};
  bool v6 = false;
  std::size_t tapped = 0, backends = 0;
};

ListedService listed_of(const registry::ServiceTable::Listed& service) {
  ListedService listed{.name = service.name,
                       .v6 = service.v6,
                       .tapped = service.tapped,
                       .backends = service.backends};
  if (service.backends == 0) {
    listed.rank = 3;
    listed.kind = "none";
  } else if (service.tapped == service.backends) {
    listed.rank = 2;
    listed.kind = "tapped";
  } else if (service.tapped == 0) {
    listed.rank = 1;
    listed.kind = "untapped";
  } else {
    listed.kind = "partly";
  }
  return listed;
}

}  // namespace

std::string overview_json(const registry::View& view, const coverage::Summary* coverage,
                          inventory::Time now) {
  const Survey survey = survey_of(view, now);
  std::string text;
  PageWriter json(text);
  json.begin_object();
  json.time("now", now).count("generation", view.generation);
  write_standings(json, survey);
  json.rates(survey.rates).losses(survey.lost).count("recently_lost", survey.recently_lost);
  write_sensors(json, survey);
  json.count("not_following", survey.of(Issue::kNotFollowing).count)
      .count("behind", survey.of(Issue::kBehind).count);
  write_groups(json, "releases", survey.releases);
  write_groups(json, "profiles", survey.profiles);
  json.key("coverage");
  if (coverage != nullptr) {
    json.begin_object();
    json.count("tapped", coverage->tapped).count("untapped", coverage->untapped);
    json.end_object();
  } else {
    json.raw("null");
  }
  write_attention(json, attention_of(survey, coverage));
  json.end_object();
  return text;
}

std::string services_json(const registry::View& view) {
  registry::ServiceTable::Counts counts;
  std::vector<ListedService> services;
  if (view.services != nullptr) {
    counts = view.services->counts();
    view.services->each([&services](const registry::ServiceTable::Listed& service) {
      services.push_back(listed_of(service));
    });
  }
  std::stable_sort(services.begin(), services.end(),
                   [](const auto& a, const auto& b) { return a.rank < b.rank; });
  std::string text;
  PageWriter json(text);
  json.begin_object();
  json.flag("watched", view.services != nullptr).key("numbers").begin_object();
  json.count("tapped", counts.tapped).count("partly", counts.mixed);
  json.count("untapped", counts.untapped).count("none", counts.none);
  json.end_object().key("listed").begin_array();
  const std::size_t shown = std::min(services.size(), kMostServicesListed);
  for (std::size_t i = 0; i < shown; ++i) {
    const ListedService& service = services[i];
    json.begin_object().member("service", service.name);
    json.member("family", service.v6 ? "IPv6" : "IPv4").member("kind", service.kind);
    json.count("tapped", service.tapped).count("backends", service.backends).end_object();
  }
  json.end_array();
  json.count("left_out", services.size() - shown).end_object();
  return text;
}

std::string flows_json(const registry::View& view) {
  Edges edges;
  for (const auto& [name, tap] : view.inventory.taps()) {
    if (!tap.ended && tap.report) add_edges(edges, tap);
  }
  std::string text;
  PageWriter json(text);
  json.begin_object().key("edges").begin_array();
  std::size_t written = 0;
  for (const auto& [ends, edge] : edges) {
    if (written == kMostEdges) break;
    ++written;
    json.begin_object().member("namespace", ends.first).member("sensor", ends.second);
    json.count("taps", edge.taps).count("capturing", edge.capturing).key("bytes");
    json.rate(edge.bytes).end_object();
  }
  json.end_array();
  json.count("left_out", edges.size() - written).end_object();
  return text;
}

std::string coverage_json(const coverage::Summary* coverage) {
  const coverage::Summary none{};
  const coverage::Summary& summary = coverage != nullptr ? *coverage : none;
  std::string text;
  PageWriter json(text);
  json.begin_object();
  json.flag("watched", coverage != nullptr);
  json.count("tapped", summary.tapped).count("untapped", summary.untapped);
  json.key("causes").begin_array();
  for (std::size_t i = 0; i < summary.by_cause.size(); ++i) {
    if (summary.by_cause.at(i) == 0) continue;
    const auto cause = static_cast<coverage::Cause>(i);
    json.begin_object().member("cause", coverage::name_of(cause));
    json.count("pods", summary.by_cause.at(i)).member("remedy", coverage::remedy_of(cause));
    json.end_object();
  }
  json.end_array().key("listed").begin_array();
  for (const coverage::Untapped& pod : summary.listed) {
    json.begin_object().member("namespace", pod.name_space).member("pod", pod.pod);
    json.member("owner", pod.owner).member("cause", coverage::name_of(pod.cause));
    json.member("detail", pod.detail).end_object();
  }
  json.end_array();
  const std::size_t listed = std::min(summary.listed.size(), summary.untapped);
  json.count("left_out", summary.untapped - listed).end_object();
  return text;
}

}  // namespace sidetap::webhook::page
