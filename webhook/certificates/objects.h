// The Kubernetes objects that hold the certificates: a Secret, and the caBundle of the webhook's
// own configuration. Pure: JSON in, JSON out.
//
// Keys of the Secret: tls.crt and tls.key (the leaf), ca.crt and ca.key (its authority),
// next-ca.crt and next-ca.key, previous-ca.crt, and bundle.crt (all authorities, for pods that
// mount it).
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "webhook/certificates/plan.h"

namespace sidetap::certificates {

/// A key that is missing or not Base64 is empty in the state.
State state_of_secret(const nlohmann::json& secret);
/// `secret` with the state as its data. Everything else stays, including its resourceVersion.
nlohmann::json with_state(nlohmann::json secret, const State& state);
/// The leaf of a Secret for collectors: its tls.crt and tls.key. As state_of_secret().
Pair leaf_of_secret(const nlohmann::json& secret);
/// `secret` with this leaf, and with `bundle` as ca.crt. Everything else stays.
nlohmann::json with_leaf(nlohmann::json secret, const Pair& leaf, const std::string& bundle);
/// A Secret that does not exist yet.
nlohmann::json new_secret(const std::string& name_space, const std::string& name);

/// The JSON Patch that sets the caBundle of every entry of a MutatingWebhookConfiguration to
/// `bundle`. It fails if the object has changed since it was read. Null if nothing is to change.
nlohmann::json bundle_patch(const nlohmann::json& configuration, const std::string& bundle);

}  // namespace sidetap::certificates
