// Builds AdmissionReviews for tests: a plain pod in a plain review, with the changes that a test
// needs.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "webhook/admission/admit.h"

namespace sidetap::test {

using Json = nlohmann::json;

/// A pod with one container, as the API server sends it.
Json plain_pod();
/// The creation of `pod`.
Json review_of(const Json& pod);

/// A chain of changes to a pod and its review: pod().annotation(...).owned_by(...).
class PodBuilder {
 public:
  PodBuilder& annotation(const std::string& key, const std::string& value);
  PodBuilder& label(const std::string& key, const std::string& value);
  PodBuilder& set(const std::string& pointer, const Json& value);
  PodBuilder& of_job();
  PodBuilder& in(const std::string& namespace_name);
  const Json& json() const { return pod_; }
  Json review() const;

 private:
  Json pod_ = plain_pod();
  std::string namespace_ = "shop";
};
inline PodBuilder pod() { return {}; }

/// With a sensor, and native sidecars unless a test says otherwise.
configuration::Configuration test_configuration();

admission::Answer admit_pod(
    const PodBuilder& pod, admission::Entry entry = admission::Entry::kNamespace,
    const configuration::Configuration& configuration = test_configuration());

}  // namespace sidetap::test
