// What a user can change so that a pod is injected.
#pragma once

#include <string>

#include "webhook/offline/documents.h"

namespace sidetap::offline {

/// The remedy after the webhook's answer; empty if nothing helps.
std::string remedy(const admission::Answer& answer, const std::string& namespace_name,
                   const configuration::Configuration& configuration);

/// Why the API server does not call the webhook, and what a user can do about it.
struct Silence {
  std::string why;
  std::string remedy;
};

/// `unasked` must not be kNo.
Silence silence(Unasked unasked, const Labels& labels, const std::string& namespace_name,
                const configuration::Configuration& configuration);

}  // namespace sidetap::offline
