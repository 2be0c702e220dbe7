// What the Pod Security level "baseline" accepts in a tap's container
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/). Pure.
//
// The level "privileged" accepts every tap; "restricted" accepts none, because a tap runs as root.
// The chart has the same rules (deploy/helm/sidetap/templates/_pod_security.tpl) and uses them to
// select what the API server asks about.
#pragma once

#include "webhook/configuration/configuration.h"

namespace sidetap::configuration {

/// The same tap in a form with which a pod that passes "baseline" still passes: with the runtime's
/// capabilities, and without the operator's fields that "baseline" refuses.
Sidecar at_baseline(Sidecar sidecar);

}  // namespace sidetap::configuration
