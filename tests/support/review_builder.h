// Builds AdmissionReviews for tests: a plain pod in a plain review, with the changes that a test
// needs.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "webhook/admission/admit.h"

namespace sidetap::test {

using Json = nlohmann::json;

/// A pod with one container, as the API server sends it.
inline Json plain_pod() {
  return Json::parse(R"({
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"generateName": "web-7d4b9-", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "web:1"}], "restartPolicy": "Always"}
  })");
}

/// The creation of `pod`.
inline Json review_of(const Json& pod) {
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request",
           {{"uid", "11111111-2222"},
            {"kind", {{"group", ""}, {"version", "v1"}, {"kind", "Pod"}}},
            {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
            {"namespace", "shop"},
            {"operation", "CREATE"},
            {"object", pod},
            {"dryRun", false}}}};
}

/// A chain of changes to a pod and its review: pod().annotation(...).owned_by(...).
class PodBuilder {
 public:
  PodBuilder& annotation(const std::string& key, const std::string& value) {
    pod_["metadata"]["annotations"][key] = value;
    return *this;
  }
  PodBuilder& label(const std::string& key, const std::string& value) {
    pod_["metadata"]["labels"][key] = value;
    return *this;
  }
  PodBuilder& set(const std::string& pointer, const Json& value) {
    pod_[Json::json_pointer(pointer)] = value;
    return *this;
  }
  PodBuilder& of_job() {
    pod_["metadata"]["ownerReferences"] = Json::array(
        {{{"apiVersion", "batch/v1"}, {"kind", "Job"}, {"name", "sum"}, {"controller", true}}});
    return *this;
  }
  PodBuilder& in(const std::string& namespace_name) {
    namespace_ = namespace_name;
    return *this;
  }
  const Json& json() const { return pod_; }
  Json review() const {
    Json review = review_of(pod_);
    review["request"]["namespace"] = namespace_;
    return review;
  }

 private:
  Json pod_ = plain_pod();
  std::string namespace_ = "shop";
};
inline PodBuilder pod() { return {}; }

/// Has a sensor, and native sidecars unless a test says otherwise.
inline configuration::Configuration test_configuration() {
  configuration::Configuration configuration;
  configuration.taps[tap::kSensor] = "10.10.10.10:2003";
  configuration.taps[tap::kPodSubnets] = "10.244.0.0/16";
  configuration.taps[tap::kServiceSubnets] = "10.96.0.0/12";
  configuration.injection.own_namespace = "sidetap";
  configuration.injection.server_version = configuration::Version{1, 36};
  return configuration;
}

inline admission::Answer admit_pod(
    const PodBuilder& pod, admission::Entry entry = admission::Entry::kNamespace,
    const configuration::Configuration& configuration = test_configuration()) {
  return admit(pod.review().dump(), entry, configuration);
}

}  // namespace sidetap::test
