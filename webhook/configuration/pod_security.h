// What the Pod Security level "baseline" takes of a tap's container
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/). Pure.
//
// At "privileged" every tap is taken, at "restricted" none: it is root. The chart has the same
// rules (deploy/helm/sidetap/templates/_pod_security.tpl), by which it says what the API server
// asks about.
#pragma once

#include "webhook/configuration/configuration.h"

namespace sidetap::configuration {

/// Does a pod that passes "baseline" still pass it with this tap?
bool passes_baseline(const Sidecar& sidecar);

/// The same tap in a form that passes: the runtime's capabilities, and without those of the
/// operator's own fields that "baseline" refuses.
Sidecar at_baseline(Sidecar sidecar);

}  // namespace sidetap::configuration
