#include "tests/support/review_builder.h"

namespace sidetap::test {

Json plain_pod() {
  return Json::parse(R"({
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"generateName": "web-7d4b9-", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "web:1"}], "restartPolicy": "Always"}
  })");
}

Json review_of(const Json& pod) {
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

PodBuilder& PodBuilder::annotation(const std::string& key, const std::string& value) {
  pod_["metadata"]["annotations"][key] = value;
  return *this;
}

PodBuilder& PodBuilder::label(const std::string& key, const std::string& value) {
  pod_["metadata"]["labels"][key] = value;
  return *this;
}

PodBuilder& PodBuilder::set(const std::string& pointer, const Json& value) {
  pod_[Json::json_pointer(pointer)] = value;
  return *this;
}

PodBuilder& PodBuilder::of_job() {
  pod_["metadata"]["ownerReferences"] = Json::array(
      {{{"apiVersion", "batch/v1"}, {"kind", "Job"}, {"name", "sum"}, {"controller", true}}});
  return *this;
}

PodBuilder& PodBuilder::in(const std::string& namespace_name) {
  namespace_ = namespace_name;
  return *this;
}

Json PodBuilder::review() const {
  Json review = review_of(pod_);
  review["request"]["namespace"] = namespace_;
  return review;
}

configuration::Configuration test_configuration() {
  configuration::Configuration configuration;
  configuration.taps[tap::kSensor] = "10.10.10.10:2003";
  configuration.taps[tap::kPodSubnets] = "10.244.0.0/16";
  configuration.taps[tap::kServiceSubnets] = "10.96.0.0/12";
  configuration.injection.own_namespace = "sidetap";
  configuration.injection.server_version = configuration::Version{1, 36};
  return configuration;
}

admission::Answer admit_pod(const PodBuilder& pod, admission::Entry entry,
                            const configuration::Configuration& configuration) {
  return admit(pod.review().dump(), entry, configuration);
}

}  // namespace sidetap::test
