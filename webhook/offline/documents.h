// Pods in Kubernetes manifests: where they stand, and what admission makes of each.
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

/// A pod, or the template from which a workload makes its pods.
struct PodPlace {
  Tree* pod = nullptr;         ///< Has `metadata` and `spec`; in a document.
  std::string kind;            ///< Of what holds it: "Deployment", "Pod".
  std::string name;            ///< Its name or generateName; may be empty.
  std::string namespace_name;  ///< Empty: the document does not say.
  bool of_job = false;         ///< A Job makes it.
};

/// A workload of Kubernetes without the template that it makes its pods from.
struct WithoutPod {
  std::string kind;
  std::string name;
  std::string namespace_name;
  std::string what;  ///< "spec.template is missing".
};

/// Every pod and pod template of a document, also inside Lists, in order. A workload of a kind that
/// is not known counts by its spec.template.spec.containers. `without`, if given, gets the others.
std::vector<PodPlace> find_pods(Tree& document, std::vector<WithoutPod>* without = nullptr);

/// Labels of the Namespace objects among the documents, also inside Lists, by name.
std::map<std::string, Labels> namespace_labels(std::vector<Tree>& documents);

/// Which webhook entry would call for pods of a namespace with these labels.
admission::Entry entry_of(const Labels& labels);

/// Why the API server asks nobody, though namespace or pod asks for a tap.
enum class Unasked : std::uint8_t {
  kNo,           ///< It asks, or nothing is asked for.
  kPodSecurity,  ///< The namespace enforces a level that would refuse the pod for its tap.
  kAnnotation,   ///< The pod asks by its annotation, which this server's selectors do not see.
};

inline constexpr std::string_view kPodSecurityLevel = "pod-security.kubernetes.io/enforce";
/// Would the namespace's Pod Security level refuse a pod for its tap? The chart's entries leave out
/// the same levels.
bool refuses_tap(const Labels& labels, const configuration::Configuration& configuration);

/// Does the server know conditions on what is asked about (1.28)? Before, labels alone select.
bool sees_annotations(const configuration::Configuration& configuration);

/// What becomes of the creation of a pod.
struct Fate {
  Unasked unasked = Unasked::kNo;
  admission::Answer answer = {};  ///< What the webhook answers; no injection where it is not asked.
};

/// `labels`: those of the pod's namespace.
Fate admit_place(const PodPlace& place, const std::string& namespace_name, const Labels& labels,
                 const configuration::Configuration& configuration);

/// The answer's patch, done. Error: the pod is not built as the patch needs it.
Result<void> apply(const admission::Answer& answer, Tree& pod);

}  // namespace sidetap::offline
