// The result of admit().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "webhook/admission/reason.h"

namespace sidetap::admission {

/// The object that has created a pod, as the pod refers to it.
struct Controller {
  std::string api_version{};
  std::string kind{};
  std::string name{};
  std::string uid{};
};

struct Answer {
  /// 200 with an AdmissionReview, or 400 with one sentence that says what is wrong with the input.
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string body;

  Action action = Action::kSkip;
  Reason reason = Reason::kNotPodCreation;
  std::string patch;                  ///< JSON Patch (RFC 6902) as text. Empty: no change.
  std::vector<std::string> warnings;  ///< As users read them. Also in the body.
  std::string refusal{};              ///< With kDeny: why. Also in the body.

  // For the log, shortened. Empty if the review does not say. The pod's contents do not appear
  // here.
  std::string uid;
  std::string namespace_name;
  std::string owner;  ///< "ReplicaSet/web-7d4b9", or the pod's name or generateName.
  bool dry_run = false;

  /// Only with warnings: who else should be told, because nobody reads what a controller is warned
  /// of.
  std::optional<Controller> controller{};
};

}  // namespace sidetap::admission
