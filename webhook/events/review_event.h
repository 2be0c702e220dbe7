// Chooses what to tell about a review to somebody who does not see its warnings. Pure.
#pragma once

#include <optional>

#include "webhook/admission/answer.h"
#include "webhook/events/event.h"

namespace sidetap::webhook::events {

/// About the controller of a pod that is not injected although somebody asks for it, or is injected
/// otherwise than its annotations say. Nothing: the pod has no controller, its user has asked for
/// the outcome, its namespace is excluded, or the review was a dry run. Without a time.
std::optional<Event> event_of(const admission::Answer& answer);

}  // namespace sidetap::webhook::events
