#include "webhook/offline/documents.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sidetap::offline {
namespace {

/// The member of an object; null when there is none.
Tree* member(Tree* tree, std::string_view key) {
  if (tree == nullptr || !tree->is_object()) return nullptr;
  const auto found = tree->find(std::string(key));
  return found == tree->end() ? nullptr : &*found;
}

std::string text_of(Tree* tree, std::string_view key) {
  const Tree* const value = member(tree, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

Tree* pod_of(Tree& document, const std::string& kind) {
  Tree* const spec = member(&document, "spec");
  if (kind == "Pod") return &document;
  if (kind == "PodTemplate") return member(&document, "template");
  if (kind == "CronJob") return member(member(member(spec, "jobTemplate"), "spec"), "template");
  constexpr std::array<std::string_view, 6> kKnown = {
      "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job"};
  Tree* const pod = member(spec, "template");
  if (std::find(kKnown.begin(), kKnown.end(), kind) != kKnown.end()) return pod;
  const Tree* const containers = member(member(pod, "spec"), "containers");
  return containers != nullptr && containers->is_array() ? pod : nullptr;
}

void collect(Tree& document, std::vector<PodPlace>& into, std::size_t depth) {
  if (!document.is_object() || depth > 8) return;
  const std::string kind = text_of(&document, "kind");
  if (Tree* const items = member(&document, "items");
      items != nullptr && items->is_array() && kind.ends_with("List")) {
    for (Tree& item : *items) collect(item, into, depth + 1);
    return;
  }
  Tree* const pod = pod_of(document, kind);
  if (pod == nullptr || !pod->is_object()) return;
  Tree* const metadata = member(&document, "metadata");
  std::string name = text_of(metadata, "name");
  if (name.empty()) name = text_of(metadata, "generateName");
  into.push_back({.pod = pod,
                  .kind = kind,
                  .name = std::move(name),
                  .namespace_name = text_of(metadata, "namespace"),
                  .of_job = kind == "Job" || kind == "CronJob"});
}

}  // namespace

std::vector<PodPlace> find_pods(Tree& document) {
  std::vector<PodPlace> places;
  collect(document, places, 0);
  return places;
}

std::map<std::string, Labels> namespace_labels(std::vector<Tree>& documents) {
  std::map<std::string, Labels> all;
  for (Tree& document : documents) {
    if (text_of(&document, "kind") != "Namespace") continue;
    Tree* const metadata = member(&document, "metadata");
    Labels& labels = all[text_of(metadata, "name")];
    Tree* const given = member(metadata, "labels");
    if (given == nullptr || !given->is_object()) continue;
    for (const auto& [key, value] : given->items())
      if (value.is_string()) labels[key] = value.get<std::string>();
  }
  return all;
}

admission::Rule rule_of(const Labels& labels) {
  const auto found = labels.find("sidetap.io/inject");
  if (found == labels.end()) return admission::Rule::kPod;
  return found->second == "enabled" ? admission::Rule::kNamespace : admission::Rule::kDisabled;
}

Outcome admit_place(const PodPlace& place, const std::string& namespace_name, admission::Rule rule,
                    const configuration::Configuration& configuration) {
  Tree pod = *place.pod;
  configuration::spellings_to_numbers(pod);
  if (place.of_job) {
    // What the Job controller will write.
    pod["metadata"]["ownerReferences"] = Tree::array({{{"apiVersion", "batch/v1"},
                                                       {"kind", "Job"},
                                                       {"name", place.name},
                                                       {"controller", true}}});
  }
  const Tree review = {{"apiVersion", "admission.k8s.io/v1"},
                       {"kind", "AdmissionReview"},
                       {"request",
                        {{"uid", "offline"},
                         {"kind", {{"group", ""}, {"version", "v1"}, {"kind", "Pod"}}},
                         {"operation", "CREATE"},
                         {"namespace", namespace_name},
                         {"object", std::move(pod)}}}};
  return admit(review.dump(-1, ' ', false, Tree::error_handler_t::replace), rule, configuration);
}

void apply(const Outcome& outcome, Tree& pod) {
  if (outcome.patch.empty()) return;
  // A template may do without metadata, which admission saw if a Job's owner had to be written.
  if (!pod.contains("metadata") || pod["metadata"].is_null()) pod["metadata"] = Tree::object();
  Tree patch = Tree::parse(outcome.patch);
  for (Tree& operation : patch) {
    if (operation["path"] != "/metadata") continue;
    operation["path"] = "/metadata/annotations";
    operation["value"] = Tree(operation["value"]["annotations"]);
  }
  pod = pod.patch(patch);
}

}  // namespace sidetap::offline
