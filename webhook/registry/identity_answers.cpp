#include "webhook/registry/identity_answers.h"

#include <memory>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "shared/registry/report_members.h"
#include "webhook/identity/identity_text.h"
#include "webhook/registry/identity_request.h"

namespace sidetap::webhook::registry {
namespace {

nlohmann::ordered_json object_or_null(const std::optional<identity::Tenure>& tenure) {
  if (!tenure) return nullptr;
  return identity::object_of(*tenure);
}

const char* state_of(identity::Answer::Kind kind) {
  switch (kind) {
    case identity::Answer::Kind::kHeld:
      return "held";
    case identity::Answer::Kind::kUncertain:
      return "uncertain";
    case identity::Answer::Kind::kUnknown:
      break;
  }
  return "unknown";
}

template <typename Part>
nlohmann::ordered_json part_of_report(const Part& part) {
  nlohmann::ordered_json object;
  for_each_member(part, [&object](const char* key, const auto& value) { object[key] = value; });
  return object;
}

template <typename Part>
nlohmann::ordered_json parts_of_report(const std::vector<Part>& parts) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Part& part : parts) list.push_back(part_of_report(part));
  return list;
}

nlohmann::ordered_json lost_of(const sidetap::registry::Report& report) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const auto& [cause, packets] : report.lost) object[cause] = packets;
  return object;
}

void append_report(nlohmann::ordered_json& object, const inventory::Tap* tap) {
  if (tap == nullptr || !tap->report) {
    for (const char* member : {"profile", "generation", "following", "release", "reported",
                               "interfaces", "sensors", "counts", "lost"}) {
      object[member] = nullptr;
    }
    return;
  }
  const sidetap::registry::Report& report = *tap->report;
  object["profile"] = report.profile;
  object["generation"] = report.generation;
  object["following"] = report.following;
  object["release"] = report.release;
  object["reported"] = identity::to_text(*tap->reported);
  object["interfaces"] = parts_of_report(report.interfaces);
  object["sensors"] = parts_of_report(report.sensors);
  object["counts"] = part_of_report(report.counts);
  object["lost"] = lost_of(report);
  if (report.mesh) object["mesh"] = part_of_report(*report.mesh);
}

}  // namespace

std::string tap_object(const identity::Tap& tap, const inventory::Tap* known) {
  nlohmann::ordered_json object = identity::object_of(tap);
  const bool connected = known != nullptr && !known->ended;
  object["forwarding"] =
      connected ? nlohmann::ordered_json(known->forwarding) : nlohmann::ordered_json();
  object["rules"] = connected ? nlohmann::ordered_json(known->rules) : nlohmann::ordered_json();
  const auto standing = known == nullptr ? inventory::Standing::kGone : known->standing();
  object["standing"] = std::string(inventory::name_of(standing));
  append_report(object, known);
  return identity::line_of(object);
}

std::string gone_tap_object(const inventory::Tap& tap) {
  identity::Tap last;
  last.pod = std::make_shared<const identity::Pod>(tap.pod);
  for (const net::IpAddress& address : tap.addresses)
    last.tenures.push_back({address, last.pod, tap.since, tap.ended});
  nlohmann::ordered_json object = identity::object_of(last);
  object["from"] = identity::to_text(tap.since);
  if (tap.ended) object["to"] = identity::to_text(*tap.ended);
  object["forwarding"] = nullptr;
  object["rules"] = nullptr;
  object["standing"] = std::string(inventory::name_of(tap.standing()));
  append_report(object, &tap);
  return identity::line_of(object);
}

std::string answer_line(const net::IpAddress& address, identity::Time at,
                        const identity::Answer& answer) {
  nlohmann::ordered_json object;
  object["address"] = address.to_string();
  object["at"] = identity::to_text(at);
  object["state"] = state_of(answer.kind);
  object["holder"] = object_or_null(answer.holder);
  object["last"] = object_or_null(answer.last);
  object["next"] = object_or_null(answer.next);
  return identity::line_of(object) + "\n";
}

std::string tenure_line(const identity::Tenure& tenure) {
  return identity::line_of(identity::object_of(tenure)) + "\n";
}

std::string position_line(const identity::Position& position) {
  nlohmann::ordered_json object;
  object["position"] = to_text(position);
  return identity::line_of(object) + "\n";
}

std::string change_line(std::uint64_t epoch, const identity::Change& change) {
  nlohmann::ordered_json object;
  object["position"] = to_text(identity::Position{epoch, change.number});
  object.update(identity::object_of(change.tenure));
  return identity::line_of(object) + "\n";
}

}  // namespace sidetap::webhook::registry
