#include "webhook/offline/documents.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shared/net/text.h"
#include "webhook/admission/admit.h"
#include "webhook/offline/objects.h"
#include "webhook/pods/keys.h"

namespace sidetap::offline {
namespace {

constexpr std::array<std::string_view, 6> kWithTemplate = {
    "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job"};

bool has_template(const std::string& kind) {
  return std::find(kWithTemplate.begin(), kWithTemplate.end(), kind) != kWithTemplate.end();
}

/// The path to the pod in an object of a known kind; empty for other kinds.
std::vector<std::string_view> way_to_pod(const std::string& kind) {
  if (kind == "PodTemplate") return {"template"};
  if (kind == "CronJob") return {"spec", "jobTemplate", "spec", "template"};
  if (has_template(kind)) return {"spec", "template"};
  return {};
}

/// Null if there is none.
Tree* pod_of(Tree& document, const std::string& kind) {
  if (kind == "Pod") return &document;
  const auto way = way_to_pod(kind);
  if (!way.empty()) {
    Tree* at = &document;
    for (const std::string_view step : way) at = find_member(at, step);
    return at;
  }
  Tree* const pod = find_member(find_member(&document, "spec"), "template");
  const bool known = pod != nullptr && member(member(*pod, "spec"), "containers").is_array();
  return known ? pod : nullptr;
}

/// Another API may have its own Job, whose pods are elsewhere.
bool is_of_kubernetes(const Tree& document) {
  const std::string version = text_of(document, "apiVersion");
  return version == "v1" || version.starts_with("apps/") || version.starts_with("batch/");
}

void collect(Tree& document, const std::string& kind, std::vector<PodPlace>& into,
             std::vector<WithoutPod>* without) {
  Tree* const pod = pod_of(document, kind);
  const std::string namespace_name = text_of(member(document, "metadata"), "namespace");
  if (pod == nullptr || !pod->is_object()) {
    const auto way = way_to_pod(kind);
    if (without == nullptr || way.empty() || !is_of_kubernetes(document)) return;
    without->push_back(
        {kind, name_of(document), namespace_name,
         net::joined(way, ".") + (pod == nullptr ? " is missing" : " is not a mapping")});
    return;
  }
  into.push_back({.pod = pod,
                  .kind = kind,
                  .name = name_of(document),
                  .namespace_name = namespace_name,
                  .of_job = kind == "Job" || kind == "CronJob"});
}

void add_labels(const Tree& document, std::map<std::string, Labels>& all) {
  const Tree& metadata = member(document, "metadata");
  Labels& labels = all[text_of(metadata, "name")];
  const Tree& given = member(metadata, "labels");
  if (!given.is_object()) return;
  for (const auto& [key, value] : given.items())
    if (value.is_string()) labels[key] = value.get<std::string>();
}

/// The value of the inject key in the pod's "labels" or "annotations"; null if there is none.
Tree* said_in(Tree* pod, std::string_view map) {
  return find_member(find_member(find_member(pod, "metadata"), map), pods::kInjectKey);
}

/// Whether an entry's label selector excludes the pod, whatever its annotation says. The chart's
/// entry for enabled namespaces has such a selector, and on an old server so does the other one.
bool label_declines(Tree* pod, admission::Entry entry, const configuration::Configuration& by) {
  const Tree* const said = said_in(pod, "labels");
  return said != nullptr && *said == "false" &&
         (entry == admission::Entry::kNamespace ||
          (entry == admission::Entry::kPod && !sees_annotations(by)));
}

Unasked unasked(Tree* pod, admission::Entry entry, const Labels& labels,
                const configuration::Configuration& by) {
  const Tree* const label = said_in(pod, "labels");
  const Tree* const annotation = said_in(pod, "annotations");
  const Tree* const said = annotation != nullptr ? annotation : label;
  const bool wanted = said != nullptr ? *said != "false" : entry == admission::Entry::kNamespace;
  if (!wanted || entry == admission::Entry::kDisabled) return Unasked::kNo;
  if (refuses_tap(labels, by)) return Unasked::kPodSecurity;
  if (entry == admission::Entry::kPod && label == nullptr && !sees_annotations(by))
    return Unasked::kAnnotation;
  return Unasked::kNo;
}

}  // namespace

std::vector<PodPlace> find_pods(Tree& document, std::vector<WithoutPod>* without) {
  std::vector<PodPlace> places;
  each_object(document, [&](Tree& object, const std::string& kind) {
    collect(object, kind, places, without);
  });
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

admission::Entry entry_of(const Labels& labels) {
  const auto found = labels.find(std::string(pods::kInjectKey));
  if (found == labels.end()) return admission::Entry::kPod;
  return found->second == "enabled" ? admission::Entry::kNamespace : admission::Entry::kDisabled;
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
  const admission::Entry entry = entry_of(labels);
  Fate fate;
  if (label_declines(place.pod, entry, configuration)) {
    fate.answer.reason = admission::Reason::kPodOptOut;
    return fate;
  }
  fate.unasked = unasked(place.pod, entry, labels, configuration);
  if (fate.unasked != Unasked::kNo) return fate;
  Tree pod = *place.pod;
  yaml::as_json_numbers(pod);
  const Tree& metadata = member(pod, "metadata");
  if (place.of_job && (metadata.is_null() || metadata.is_object())) {
    // Adds what the Job controller will write. Admission refuses metadata of another kind.
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
  fate.answer = admission::admit(review.dump(-1, ' ', false, Tree::error_handler_t::replace), entry,
                                 configuration);
  return fate;
}

Result<void> apply(const admission::Answer& answer, Tree& pod) {
  if (answer.patch.empty()) return {};
  try {
    // A template may lack metadata, which admission saw only if a Job's owner was added.
    if (!pod.contains("metadata") || pod["metadata"].is_null()) pod["metadata"] = Tree::object();
    Tree patch = Tree::parse(answer.patch);
    for (Tree& operation : patch) {
      if (operation["path"] != "/metadata") continue;
      operation["path"] = "/metadata/annotations";
      operation["value"] = Tree(operation["value"]["annotations"]);
    }
    pod = pod.patch(patch);
  } catch (const Tree::exception& e) {
    return Error{std::string("cannot be changed: ") + e.what()};
  }
  return {};
}

}  // namespace sidetap::offline
