// Pods in Kubernetes manifests: where they stand, and what admission makes of each.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "webhook/admit.h"
#include "webhook/configuration/configuration.h"
#include "webhook/configuration/yaml.h"

namespace sidetap::offline {

using configuration::Tree;
using Labels = std::map<std::string, std::string>;

/// A pod, or the template from which a workload makes its pods.
struct PodPlace {
  Tree* pod = nullptr;         ///< Has `metadata` and `spec`; in a document.
  std::string kind;            ///< Of what holds it: "Deployment", "Pod".
  std::string name;            ///< Its name or generateName; may be empty.
  std::string namespace_name;  ///< Empty: the document does not say.
  bool of_job = false;         ///< A Job makes it.
};

/// Every pod and pod template of a document, also inside Lists, in order. A workload of a kind that
/// is not known counts by its spec.template.spec.containers.
std::vector<PodPlace> find_pods(Tree& document);

/// Labels of the Namespace objects among the documents, also inside Lists, by name.
std::map<std::string, Labels> namespace_labels(std::vector<Tree>& documents);

/// Which webhook entry would call for pods of a namespace with these labels.
admission::Rule rule_of(const Labels& labels);

/// What becomes of the creation of this pod, whose namespace is `namespace_name`: what the webhook
/// answers, or no injection where the API server would not ask it.
Outcome admit_place(const PodPlace& place, const std::string& namespace_name, admission::Rule rule,
                    const configuration::Configuration& configuration);

/// The outcome's patch, done.
void apply(const Outcome& outcome, Tree& pod);

}  // namespace sidetap::offline
