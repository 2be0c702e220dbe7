// On which operating systems a pod may run, as far as its spec says so.
#pragma once

#include "webhook/json/tree.h"

namespace sidetap::admission {

/// Does the spec keep the pod from every Linux node? `spec.os` has the first word, then the node
/// selector and the required node affinity, by the labels that kubelets give their nodes
/// (kubernetes.io/os, its beta name, and node.kubernetes.io/windows-build), then the presence of
/// Windows options. Terms of an affinity are alternatives: one that Linux nodes may fulfil is
/// enough.
bool is_kept_from_linux(Value spec);

/// Does a term of the required node affinity ask for Windows nodes?
bool is_offered_to_windows(Value spec);

}  // namespace sidetap::admission
