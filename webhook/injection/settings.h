// What one pod's sidecar is to be: the operator's template and what the pod may change of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/tap/settings.h"
#include "webhook/configuration/configuration.h"
#include "webhook/pods/pod.h"

namespace sidetap::injection {

/// In which form a pod gets the sidecar.
enum class Form : bool { kContainer, kNative };

struct Settings {
  Form form = Form::kContainer;
  std::string image;
  std::uint16_t status_port = 0;
  configuration::Amounts requests;  ///< An amount that is empty is not written; as of limits.
  configuration::Amounts limits;
  /// What this pod's tap is told in place of the configuration's.
  std::vector<std::pair<const tap::Setting*, std::string>> own;

  void tell(const tap::Setting& setting, std::string value);
  /// What the tap is told. Valid while `configuration` and this object are.
  std::string_view told(const tap::Setting& setting,
                        const configuration::Configuration& configuration) const;
};

// What decides whether there is a sidecar at all.

/// As settle() will find it.
Form form_of(const pods::Pod& pod, const configuration::Configuration& configuration);
/// Without an address the tap would end at once, again and again. Passive mode needs none.
bool has_sensor(const pods::Pod& pod, const configuration::Configuration& configuration);

/// `warnings` gains one line for each annotation of the pod that is not applied, with the reason,
/// and for what the sidecar does to this pod.
Settings settle(const pods::Pod& pod, const configuration::Configuration& configuration,
                std::vector<std::string>& warnings);

}  // namespace sidetap::injection
