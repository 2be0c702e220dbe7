// Events (core/v1) for those who look at an object with kubectl. Pure.
//
// Source: Event of core/v1 (https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.30/),
// which kubectl finds by the object that it is about.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "webhook/identity/ledger.h"

namespace sidetap::webhook::events {

using identity::Time;

/// The object that an event is about. Events are in the object's namespace.
struct Subject {
  std::string api_version{};
  std::string kind{};
  std::string name_space{};
  std::string name{};
  std::string uid{};
};

struct Event {
  Subject subject{};
  bool warning = true;    ///< Of the type "Warning" instead of "Normal".
  std::string reason{};   ///< In camel case: "TapDeclined".
  std::string message{};  ///< One line for a person.
  /// Tells an event from an earlier one of the same subject, reason and message. Without it, the
  /// API server keeps one of them until that expires, which is an hour by default.
  std::string occurrence{};
  Time at{};  ///< When it is queued to be sent.
};

/// Whether the API server can take the event: every part of the subject is there, the namespace is
/// a name, and nothing is longer than the API allows.
bool is_valid(const Event& event);

/// Where to create it. The event must be valid.
std::string path_of(const Event& event);
/// The object to create. `instance` names this replica. Its name follows from subject, reason,
/// message and occurrence, so that of several replicas that tell the same the API server takes one.
nlohmann::json object_of(const Event& event, std::string_view instance);

}  // namespace sidetap::webhook::events
