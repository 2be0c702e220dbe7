// The settings of one pod's sidecar: the operator's template with the changes that the pod may
// make.
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

/// The form of the sidecar in a pod.
enum class Form : bool { kContainer, kNative };

struct Settings {
  Form form = Form::kContainer;
  std::string image;
  std::uint16_t status_port = 0;
  configuration::Amounts requests;  ///< An empty amount is not written; the same for limits.
  configuration::Amounts limits;
  /// The pod's profile, in the configuration. Null: the default.
  const configuration::Profile* profile = nullptr;
  /// The profile's name, if an annotation of the pod chooses it.
  std::string chosen_profile;
  /// The pod's mesh, a value of tap::kMeshKind, if it is known and its plaintext is wanted.
  std::string_view mesh_kind;
  /// What the registry may change in this tap while it runs.
  tap::ControlSet controls;
  /// Settings of this pod's tap that override the profile's.
  std::vector<std::pair<const tap::Setting*, std::string>> own;

  void tell(const tap::Setting& setting, std::string value);
  /// The effective value of a setting. Valid as long as `configuration` and this object.
  std::string_view told(const tap::Setting& setting,
                        const configuration::Configuration& configuration) const;
};

// These decide whether there is a sidecar at all.

/// The same form that settle() chooses.
Form form_of(const pods::Pod& pod, const configuration::Configuration& configuration);
/// Whether the tap has a sensor, or needs none because of passive mode or since it writes files.
/// Without one, it would exit at once, again and again.
bool has_sensor(const pods::Pod& pod, std::string_view namespace_name,
                const configuration::Configuration& configuration);

/// `configuration` must outlive the result. Appends one line to `warnings` for each annotation of
/// the pod that is not applied, with the reason, and for each side effect of the sidecar on this
/// pod.
Settings settle(const pods::Pod& pod, std::string_view namespace_name,
                const configuration::Configuration& configuration,
                std::vector<std::string>& warnings);

/// The same for a tap that is added to a pod that runs. It is a plain container without amounts: a
/// running pod's requests and limits cannot change.
Settings settle_ephemeral(const pods::Pod& pod, std::string_view namespace_name,
                          const configuration::Configuration& configuration,
                          std::vector<std::string>& warnings);

}  // namespace sidetap::injection
