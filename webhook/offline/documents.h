// Finds pods in Kubernetes manifests, and applies admission to them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"
#include "shared/yaml/tree.h"
#include "webhook/admission/answer.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::offline {

using yaml::Tree;
using Labels = std::map<std::string, std::string>;

/// A pod, or the template from which a workload creates its pods.
struct PodPlace {
  Tree* pod = nullptr;         ///< Has `metadata` and `spec`. Part of a document.
  std::string kind;            ///< Of the object that holds it: "Deployment", "Pod".
  std::string name;            ///< Its name or generateName; may be empty.
  std::string namespace_name;  ///< Empty: not in the document.
  bool of_job = false;         ///< A Job creates it.
};

/// A Kubernetes workload without the template for its pods.
struct WithoutPod {
  std::string kind;
  std::string name;
  std::string namespace_name;
  std::string what;  ///< "spec.template is missing".
};

/// Every pod and pod template of a document, in order, including those inside Lists. A workload of
/// an unknown kind counts if it has spec.template.spec.containers. `without`, if given, receives
/// the workloads without a template.
std::vector<PodPlace> find_pods(Tree& document, std::vector<WithoutPod>* without = nullptr);

/// The labels of the Namespace objects in the documents, including those inside Lists, by name.
std::map<std::string, Labels> namespace_labels(std::vector<Tree>& documents);

/// The webhook entry that would call for pods of a namespace with these labels.
admission::Entry entry_of(const Labels& labels);

/// Why the API server does not call the webhook, although the namespace or the pod asks for a tap.
enum class Unasked : std::uint8_t {
  kNo,           ///< It calls, or nobody asks for a tap.
  kPodSecurity,  ///< The namespace enforces a level that would refuse the pod because of its tap.
  kAnnotation,   ///< The pod asks with an annotation, which this server's selectors cannot match.
};

inline constexpr std::string_view kPodSecurityLevel = "pod-security.kubernetes.io/enforce";
/// Whether the namespace's Pod Security level would refuse a pod because of its tap. The chart's
/// entries exclude the same levels.
bool refuses_tap(const Labels& labels, const configuration::Configuration& configuration);

/// Whether the server supports match conditions (1.28). Older servers select by labels only.
bool sees_annotations(const configuration::Configuration& configuration);

/// The outcome of a pod's creation.
struct Fate {
  Unasked unasked = Unasked::kNo;
  admission::Answer answer = {};  ///< The webhook's answer; no injection if it is not called.
};

/// `labels` are those of the pod's namespace.
Fate admit_place(const PodPlace& place, const std::string& namespace_name, const Labels& labels,
                 const configuration::Configuration& configuration);

/// Applies the answer's patch. Error: the pod does not have the structure that the patch needs.
Result<void> apply(const admission::Answer& answer, Tree& pod);

}  // namespace sidetap::offline
