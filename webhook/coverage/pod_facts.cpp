#include "webhook/coverage/pod_facts.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "shared/json_members.h"
#include "shared/read_json.h"
#include "shared/tap/assigned.h"
#include "webhook/identity/identity_text.h"
#include "webhook/pods/keys.h"
#include "webhook/pods/warning.h"

namespace sidetap::webhook::coverage {
namespace {

using nlohmann::json;

/// What the API allows, for names of pods, namespaces and owners.
constexpr std::size_t kMostNameBytes = 253;

std::optional<Time> time_of(const json& value) {
  const auto time = identity::parse_time(text_or_empty(value));
  if (!time) return std::nullopt;
  return *time;
}

std::string bounded_name(const json& object, std::string_view key) {
  std::string name = text_of(object, key);
  if (name.size() > kMostNameBytes) name.clear();
  return name;
}

/// When the label that asks for injection was written, at the latest.
std::optional<Time> label_time(const json& metadata) {
  const std::string field = "f:" + std::string(pods::kInjectKey);
  std::optional<Time> latest;
  for (const json& entry : member(metadata, "managedFields")) {
    const json& labels = member(member(member(entry, "fieldsV1"), "f:metadata"), "f:labels");
    if (member(labels, field).is_null()) continue;
    if (const auto time = time_of(member(entry, "time")))
      latest = latest ? std::max(*latest, *time) : *time;
  }
  return latest;
}

bool asks_for_tap(const json& metadata) {
  const json& annotation = member(member(metadata, "annotations"), pods::kInjectKey);
  const json& said =
      annotation.is_null() ? member(member(metadata, "labels"), pods::kInjectKey) : annotation;
  return !said.is_null() && said != "false";
}

/// The container's name is what the webhook has written down: the configuration may have another
/// one by now.
bool has_tap(const json& metadata, const json& spec) {
  const std::string text = text_of(member(metadata, "annotations"), pods::kStatusKey);
  if (text.empty()) return false;
  const auto status = read_json(text);
  if (!status) return false;
  const std::string name = text_of(*status, "container");
  if (name.empty()) return false;
  for (const char* list : {"initContainers", "containers"}) {
    for (const json& container : member(spec, list))
      if (text_of(container, "name") == name) return true;
  }
  return false;
}

/// Whether a tap runs that was added to the pod while it ran: what the webhook fills in has this
/// variable.
bool runs_ephemeral_tap(const json& spec, const json& status) {
  for (const json& container : member(spec, "ephemeralContainers")) {
    const auto& variables = member(container, "env");
    const bool of_tap = std::any_of(variables.begin(), variables.end(), [](const json& one) {
      return text_of(one, "name") == tap::kStdinOrders.env;
    });
    if (!of_tap) continue;
    for (const json& one : member(status, "ephemeralContainerStatuses")) {
      if (text_of(one, "name") == text_of(container, "name") &&
          !member(member(one, "state"), "running").is_null())
        return true;
    }
  }
  return false;
}

/// The name of a ReplicaSet of a Deployment is that of the Deployment and a hash, which is also a
/// label of the pods.
std::string owner_text(const json& metadata, const std::string& kind, const std::string& name) {
  const std::string hash = text_of(member(metadata, "labels"), "pod-template-hash");
  if (kind == "ReplicaSet" && !hash.empty() && name.size() > hash.size() + 1 &&
      name.ends_with("-" + hash))
    return "Deployment/" + name.substr(0, name.size() - hash.size() - 1);
  return kind + "/" + name;
}

void read_owner(const json& metadata, PodFacts& facts) {
  for (const json& reference : member(metadata, "ownerReferences")) {
    const json& controller = member(reference, "controller");
    if (!controller.is_boolean() || !controller.get<bool>()) continue;
    const std::string kind = bounded_name(reference, "kind");
    const std::string name = bounded_name(reference, "name");
    if (kind.empty() || name.empty()) continue;
    facts.owner = owner_text(metadata, kind, name);
    facts.of_job = kind == "Job" && text_of(reference, "apiVersion").starts_with("batch/");
    return;
  }
}

std::string written(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// A review of the pod's creation. It has only what the webhook's decision depends on, without the
/// status and the fields' managers, which are half of a pod.
std::string review_of(const json& metadata, const json& spec) {
  std::string text =
      R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"coverage",)"
      R"("kind":{"group":"","version":"v1","kind":"Pod"},"operation":"CREATE","dryRun":true,)"
      R"("namespace":)";
  text += written(member(metadata, "namespace"));
  text += R"(,"object":{"apiVersion":"v1","kind":"Pod","metadata":{)";
  constexpr std::array<const char*, 4> kKept = {"annotations", "labels", "name", "ownerReferences"};
  for (const char* key : kKept) {
    if (key != kKept.front()) text += ",";
    text += '"' + std::string(key) + "\":" + written(member(metadata, key));
  }
  text += R"(},"spec":)";
  text += written(spec);
  text += "}}}";
  return text;
}

/// Without what every warning of that kind begins with.
std::string reason_in(const admission::Answer& answer) {
  if (answer.warnings.empty()) return std::string(admission::reason_text(answer.reason));
  std::string_view text = answer.warnings.front();
  for (const std::string_view prefix : {pods::kWarningPrefix, std::string_view("not injected: ")})
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  return std::string(text);
}

bool runs(const json& object) {
  return text_of(member(object, "status"), "phase") == "Running" &&
         member(member(object, "metadata"), "deletionTimestamp").is_null();
}

}  // namespace

std::optional<NamespaceFacts> read_namespace(const json& object, const LabelSelector& selector) {
  const json& metadata = member(object, "metadata");
  NamespaceFacts facts;
  facts.name = bounded_name(metadata, "name");
  if (facts.name.empty()) return std::nullopt;
  const json& labels = member(metadata, "labels");
  if (!matches(selector, labels)) return facts;
  const json& said = member(labels, pods::kInjectKey);
  if (said.is_null()) {
    facts.selects = Selects::kThoseAsked;
  } else if (said == "enabled") {
    facts.selects = Selects::kAll;
    facts.selected = label_time(metadata);
  }
  return facts;
}

std::optional<PodName> name_of(const json& object) {
  const json& metadata = member(object, "metadata");
  PodName name{bounded_name(metadata, "namespace"), bounded_name(metadata, "name")};
  if (name.name_space.empty() || name.name.empty()) return std::nullopt;
  return name;
}

std::optional<PodFacts> read_pod(const json& object, Selects selects, const Judge& judge) {
  if (selects == Selects::kNone || !runs(object)) return std::nullopt;
  const json& metadata = member(object, "metadata");
  const json& spec = member(object, "spec");
  PodFacts facts;
  facts.asks = asks_for_tap(metadata);
  if (selects == Selects::kThoseAsked && !facts.asks) return std::nullopt;
  facts.tapped = has_tap(metadata, spec) || runs_ephemeral_tap(spec, member(object, "status"));
  if (facts.tapped) return facts;
  read_owner(metadata, facts);
  facts.created = time_of(member(metadata, "creationTimestamp"));
  const admission::Answer answer = judge(review_of(metadata, spec));
  facts.declined = answer.action != admission::Action::kInject;
  if (facts.declined) facts.detail = reason_in(answer);
  return facts;
}

}  // namespace sidetap::webhook::coverage
