// The Kubernetes objects in which the certificates lie: a Secret, and the caBundle of the webhook's
// own configuration. Pure: JSON in, JSON out.
//
// Keys of the Secret: tls.crt and tls.key (the leaf), ca.crt and ca.key (its authority),
// next-ca.crt and next-ca.key, previous-ca.crt, and bundle.crt (all authorities, for whoever mounts
// it).
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "webhook/certificates/plan.h"

namespace sidetap::certificates {

/// What is missing or no Base64 is empty in the state.
State state_of_secret(const nlohmann::json& secret);
/// `secret` with the state as its data; everything else of it stays, its resourceVersion too.
nlohmann::json with_state(nlohmann::json secret, const State& state);
/// A Secret that is not there yet.
nlohmann::json new_secret(const std::string& name_space, const std::string& name);

/// The JSON Patch that makes `bundle` the caBundle of every entry of a
/// MutatingWebhookConfiguration, if it is still the one that was read; null when it is so already.
nlohmann::json bundle_patch(const nlohmann::json& configuration, const std::string& bundle);

}  // namespace sidetap::certificates
