#include "webhook/offline/documents.h"

#include <algorithm>
#include <array>
#include <utility>

#include "webhook/admission/policy.h"

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

constexpr unsigned kDeepestList = 8;

/// Calls `visit(object, kind)` for the document, or for what a List holds, in order. The items of a
/// typed list (PodList) are of its kind where they do not say.
template <typename Visit>
void each_object(Tree& document, Visit&& visit, const std::string& assumed = {},
                 unsigned depth = 0) {
  if (!document.is_object() || depth > kDeepestList) return;
  std::string kind = text_of(&document, "kind");
  if (kind.empty()) kind = assumed;
  Tree* const items = member(&document, "items");
  if (items == nullptr || !items->is_array() || !kind.ends_with("List")) {
    visit(document, kind);
    return;
  }
  const std::string of_items = kind.substr(0, kind.size() - std::string_view("List").size());
  for (Tree& item : *items) each_object(item, visit, of_items, depth + 1);
}

void collect(Tree& document, const std::string& kind, std::vector<PodPlace>& into) {
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

void add_labels(Tree& document, std::map<std::string, Labels>& all) {
  Tree* const metadata = member(&document, "metadata");
  Labels& labels = all[text_of(metadata, "name")];
  Tree* const given = member(metadata, "labels");
  if (given == nullptr || !given->is_object()) return;
  for (const auto& [key, value] : given->items())
    if (value.is_string()) labels[key] = value.get<std::string>();
}

/// What the pod says of itself in its "labels" or "annotations"; null: nothing.
Tree* said_in(Tree* pod, std::string_view map) {
  return member(member(member(pod, "metadata"), map), admission::kInjectKey);
}

/// An entry that selects pods by their label keeps the API server from asking about these, whatever
/// their annotation says: the chart's for enabled namespaces, and on an old server the other too.
bool label_declines(Tree* pod, admission::Rule rule, const configuration::Configuration& by) {
  const Tree* const said = said_in(pod, "labels");
  return said != nullptr && *said == "false" &&
         (rule == admission::Rule::kNamespace ||
          (rule == admission::Rule::kPod && !sees_annotations(by)));
}

Unasked unasked(Tree* pod, admission::Rule rule, const Labels& labels,
                const configuration::Configuration& by) {
  const Tree* const label = said_in(pod, "labels");
  const Tree* const annotation = said_in(pod, "annotations");
  const Tree* const said = annotation != nullptr ? annotation : label;
  const bool wanted = said != nullptr ? *said != "false" : rule == admission::Rule::kNamespace;
  if (!wanted || rule == admission::Rule::kDisabled) return Unasked::kNo;
  if (refuses_tap(labels, by)) return Unasked::kPodSecurity;
  if (rule == admission::Rule::kPod && label == nullptr && !sees_annotations(by))
    return Unasked::kAnnotation;
  return Unasked::kNo;
}

}  // namespace

std::vector<PodPlace> find_pods(Tree& document) {
  std::vector<PodPlace> places;
  each_object(document,
              [&](Tree& object, const std::string& kind) { collect(object, kind, places); });
  return places;
}

std::map<std::string, Labels> namespace_labels(std::vector<Tree>& documents) {
  std::map<std::string, Labels> all;
  for (Tree& document : documents)
    each_object(document, [&](Tree& object, const std::string& kind) {
      if (kind == "Namespace") add_labels(object, all);
    });
  return all;
}

admission::Rule rule_of(const Labels& labels) {
  const auto found = labels.find("sidetap.io/inject");
  if (found == labels.end()) return admission::Rule::kPod;
  return found->second == "enabled" ? admission::Rule::kNamespace : admission::Rule::kDisabled;
}

bool refuses_tap(const Labels& labels, const configuration::Configuration& configuration) {
  const auto level = labels.find(std::string(kPodSecurityLevel));
  if (level == labels.end()) return false;
  return level->second == "restricted" ||
         (level->second == "baseline" &&
          configuration.sidecar.capabilities == configuration::Capabilities::kExplicit);
}

bool sees_annotations(const configuration::Configuration& configuration) {
  const auto& version = configuration.injection.server_version;
  return !version || *version >= configuration::Version{1, 28};
}

Fate admit_place(const PodPlace& place, const std::string& namespace_name, const Labels& labels,
                 const configuration::Configuration& configuration) {
  const admission::Rule rule = rule_of(labels);
  Fate fate;
  if (label_declines(place.pod, rule, configuration)) {
    fate.outcome.reason = admission::Reason::kPodOptOut;
    return fate;
  }
  fate.unasked = unasked(place.pod, rule, labels, configuration);
  if (fate.unasked != Unasked::kNo) return fate;
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
  fate.outcome =
      admit(review.dump(-1, ' ', false, Tree::error_handler_t::replace), rule, configuration);
  return fate;
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
