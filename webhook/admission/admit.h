// One review in, one answer out: decode, decide, patch, encode. Pure: no socket, file, clock or
// log, so that `serve`, `inject`, `explain` and the fuzzers share it. Safe from any thread.
#pragma once

#include <string_view>

#include "webhook/admission/answer.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::admission {

/// `review`: the bytes of an AdmissionReview (admission.k8s.io/v1). Whatever they are, the answer
/// is well-formed; nothing is thrown but std::bad_alloc.
Answer admit(std::string_view review, Entry called,
             const configuration::Configuration& configuration);

}  // namespace sidetap::admission
