// One review in, one answer out: decode, decide, patch, encode. Pure: no socket, file, clock or
// log, so that `serve`, `inject`, `explain` and the fuzzers share it. Safe from any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "webhook/admission/reason.h"
#include "webhook/configuration/configuration.h"

namespace sidetap {

struct Outcome {
  /// 200 with an AdmissionReview, or 400 with one sentence that says what is wrong with the input.
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string body;

  admission::Decision decision = admission::Decision::kSkip;
  admission::Reason reason = admission::Reason::kNotPodCreation;
  std::string patch;                  ///< JSON Patch (RFC 6902) as text; empty: no change.
  std::vector<std::string> warnings;  ///< As the user reads them; also in the body.

  // For the log: shortened; empty where the review does not say. Nothing of the pod's contents is
  // here.
  std::string uid;
  std::string namespace_name;
  std::string owner;  ///< "ReplicaSet/web-7d4b9", else the pod's name or generateName.
  bool dry_run = false;
};

/// `review`: the bytes of an AdmissionReview (admission.k8s.io/v1). Whatever they are, the answer
/// is well-formed; nothing is thrown but std::bad_alloc.
Outcome admit(std::string_view review, admission::Rule called,
              const configuration::Configuration& configuration);

}  // namespace sidetap
