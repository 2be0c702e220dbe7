// Pods and namespaces as the API server keeps them, and the webhook's decision about them.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tests/support/review_builder.h"
#include "webhook/admission/admit.h"
#include "webhook/coverage/pod_facts.h"

namespace sidetap::webhook::coverage {

inline constexpr const char* kCreated = "2026-01-02T03:04:05Z";
inline constexpr const char* kStatusText = R"({"version":"1","container":"sidetap"})";

/// A running pod of the Deployment "web", without a tap.
inline nlohmann::json stored_pod(const std::string& name, const std::string& name_space = "shop") {
  nlohmann::json pod = test::plain_pod();
  auto& metadata = pod["metadata"];
  metadata["name"] = name;
  metadata["namespace"] = name_space;
  metadata["creationTimestamp"] = kCreated;
  metadata["labels"]["pod-template-hash"] = "7d4b9";
  metadata["ownerReferences"] = nlohmann::json::array({{{"apiVersion", "apps/v1"},
                                                        {"kind", "ReplicaSet"},
                                                        {"name", "web-7d4b9"},
                                                        {"uid", "u-rs"},
                                                        {"controller", true}}});
  pod["status"]["phase"] = "Running";
  return pod;
}

/// The same with the tap's container.
inline nlohmann::json tapped_pod(const std::string& name, const std::string& name_space = "shop") {
  nlohmann::json pod = stored_pod(name, name_space);
  pod["metadata"]["annotations"]["sidetap.io/status"] = kStatusText;
  pod["spec"]["initContainers"] =
      nlohmann::json::array({{{"name", "sidetap"}, {"restartPolicy", "Always"}}});
  return pod;
}

/// `label`: of sidetap.io/inject; empty: none.
inline nlohmann::json stored_namespace(const std::string& name, const std::string& label) {
  nlohmann::json object;
  object["metadata"]["name"] = name;
  object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
  if (!label.empty()) object["metadata"]["labels"]["sidetap.io/inject"] = label;
  return object;
}

/// When a field manager wrote the label.
inline nlohmann::json label_written(const std::string& time) {
  nlohmann::json entry;
  entry["manager"] = "kubectl-label";
  entry["time"] = time;
  entry["fieldsV1"]["f:metadata"]["f:labels"]["f:sidetap.io/inject"] = nlohmann::json::object();
  return entry;
}

inline admission::Answer judge(std::string_view review) {
  return admission::admit(review, admission::Entry::kNamespace, test::test_configuration());
}

}  // namespace sidetap::webhook::coverage
