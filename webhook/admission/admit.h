// Turns one review into one answer: decode, decide, patch, encode. Pure: no socket, file, clock or
// log, so that `serve`, `inject`, `explain` and the fuzzers share it. Safe from any thread.
#pragma once

#include <string_view>

#include "webhook/admission/answer.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::admission {

/// `review` holds the bytes of an AdmissionReview (admission.k8s.io/v1). The answer is well-formed
/// for any bytes. Throws only std::bad_alloc.
Answer admit(std::string_view review, Entry called,
             const configuration::Configuration& configuration);

}  // namespace sidetap::admission
