// An event for tests.
#pragma once

#include <string>

#include "webhook/events/event.h"

namespace sidetap::webhook::events {

/// About the ReplicaSet of this name, whose UID is "u-" and the name.
inline Event sample_event(const std::string& name = "web-7d4b9",
                          const std::string& message = "not injected: because") {
  Event event;
  event.subject = {.api_version = "apps/v1",
                   .kind = "ReplicaSet",
                   .name_space = "shop",
                   .name = name,
                   .uid = "u-" + name};
  event.reason = "TapDeclined";
  event.message = message;
  return event;
}

}  // namespace sidetap::webhook::events
