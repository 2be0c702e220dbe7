#include "webhook/registry/identity_answers.h"

#include <optional>

#include <nlohmann/json.hpp>

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

}  // namespace

std::string tap_object(const identity::Tap& tap, const TapStates& states) {
  nlohmann::ordered_json object = identity::object_of(tap);
  const auto state = states.find(tap.pod->uid);
  if (state == states.end()) {
    object["forwarding"] = nullptr;
    object["rules"] = nullptr;
  } else {
    object["forwarding"] = state->second.forwarding;
    object["rules"] = state->second.rules;
  }
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
