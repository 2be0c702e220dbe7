// What a user may set to have a pod injected that is not.
#pragma once

#include <string>

#include "webhook/offline/documents.h"

namespace sidetap::offline {

/// After the webhook's answer; empty: nothing helps.
std::string remedy(const admission::Answer& answer, const std::string& namespace_name,
                   const configuration::Configuration& configuration);

/// Why the API server asks nobody, and what a user may do about it.
struct Silence {
  std::string why;
  std::string remedy;
};

/// `unasked` is not kNo.
Silence silence(Unasked unasked, const Labels& labels, const std::string& namespace_name,
                const configuration::Configuration& configuration);

}  // namespace sidetap::offline
