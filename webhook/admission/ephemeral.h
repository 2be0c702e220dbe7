// Decides about a tap for a pod that runs already: somebody adds an ephemeral container of the
// tap's name, and the webhook fills it in.
//
// The request says who asks. So, other than for a new pod, neither the namespace nor the pod has to
// ask, and a refusal is an answer to somebody who waits for it: the API server refuses the request,
// with the reason. Whatever rules out a tap for a new pod rules it out here too.
//
// Only the container is taken from the new object. All that decides about it, such as annotations,
// comes from the pod as it is stored, which the request cannot change.
#pragma once

#include "webhook/admission/policy.h"
#include "webhook/admission/review.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::admission {

/// If the action is kInject, `sidecar` is the index of the ephemeral container to fill in, and the
/// review has a pod without a fault. kSkip: no new container has the tap's name.
Verdict decide_ephemeral(const Review& review, Entry called,
                         const configuration::Configuration& configuration);

}  // namespace sidetap::admission
