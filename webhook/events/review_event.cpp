#include "webhook/events/review_event.h"

#include <string>
#include <string_view>

#include "webhook/pods/warning.h"

namespace sidetap::webhook::events {
namespace {

constexpr std::size_t kMostMessage = 1'000;

/// The warnings in one line, without what each of them begins with.
std::string message_of(const admission::Answer& answer) {
  std::string message;
  for (std::string_view warning : answer.warnings) {
    if (warning.starts_with(pods::kWarningPrefix))
      warning.remove_prefix(pods::kWarningPrefix.size());
    if (!message.empty()) message += "; ";
    message += warning;
  }
  return pods::shortened(message, kMostMessage);
}

bool is_nobodys_concern(admission::Reason reason) {
  // Nobody has asked for a tap in a cluster's own namespaces, or in a static pod.
  return reason == admission::Reason::kProtectedNamespace ||
         reason == admission::Reason::kMirrorPod;
}

}  // namespace

std::optional<Event> event_of(const admission::Answer& answer) {
  // What the user has asked for has no warnings.
  if (answer.dry_run || answer.warnings.empty() || !answer.controller) return std::nullopt;
  if (is_nobodys_concern(answer.reason)) return std::nullopt;
  const admission::Controller& owner = *answer.controller;
  Event event;
  event.subject = {.api_version = owner.api_version,
                   .kind = owner.kind,
                   .name_space = answer.namespace_name,
                   .name = owner.name,
                   .uid = owner.uid};
  event.reason = answer.action == admission::Action::kInject ? "TapAdjusted" : "TapDeclined";
  event.message = message_of(answer);
  return event;
}

}  // namespace sidetap::webhook::events
