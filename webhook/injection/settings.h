// What one pod's sidecar is to be: the operator's template and what the pod may change of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "webhook/admission/policy.h"
#include "webhook/configuration/configuration.h"
#include "webhook/json/tree.h"

namespace sidetap::injection {

struct Settings {
  admission::Form form = admission::Form::kContainer;
  std::string sensor;
  std::string image;
  std::string interface;
  std::string log_level;
  std::uint32_t snaplen = 0;
  std::uint16_t status_port = 0;
  configuration::Amounts requests;  ///< An amount that is empty is not written; as of limits.
  configuration::Amounts limits;
};

/// `warnings` gains one line for each annotation of the pod that is not applied, with the reason.
Settings settle(admission::Value pod, const configuration::Configuration& configuration,
                std::vector<std::string>& warnings);

}  // namespace sidetap::injection
