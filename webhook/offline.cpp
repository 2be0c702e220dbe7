#include "webhook/offline.h"

#include <algorithm>
#include <iostream>
#include <iterator>
#include <optional>
#include <sstream>
#include <utility>

#include "shared/config/options.h"
#include "shared/read_file.h"
#include "webhook/admission/policy.h"
#include "webhook/configuration/configuration_file.h"
#include "webhook/offline/documents.h"

namespace sidetap {
namespace {

using admission::Decision;
using admission::Reason;
using admission::Rule;
using configuration::Configuration;
using offline::Labels;
using offline::PodPlace;
using offline::Tree;

struct Options {
  std::string file;
  std::string config;
  std::string namespace_name;
  std::optional<Labels> labels;
};

config::Parser<std::optional<Labels>> label_list() {
  return [](std::string_view text) -> Result<std::optional<Labels>> {
    Labels labels;
    while (!text.empty()) {
      const std::size_t comma = std::min(text.find(','), text.size());
      const std::string_view item = text.substr(0, comma);
      const std::size_t equals = item.find('=');
      if (equals == item.npos || equals == 0) return Error{"KEY=VALUE, separated by commas"};
      labels[std::string(item.substr(0, equals))] = std::string(item.substr(equals + 1));
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return std::optional(std::move(labels));
  };
}

void declare(config::OptionSet& set, Options& into, const std::string& without_labels) {
  set.add<std::string>({.flag = "-f,--file",
                        .value = "FILE",
                        .help = "manifests, YAML or JSON; - is standard input",
                        .required = true},
                       config::any_text(), into.file);
  set.add<std::string>({.flag = "--config",
                        .value = "FILE",
                        .help = "the webhook's configuration file; none: built-in defaults"},
                       config::readable_file(), into.config);
  set.add<std::string>({.flag = "--namespace",
                        .value = "NAME",
                        .fallback = "default",
                        .help = "namespace of what names none"},
                       config::any_text(), into.namespace_name);
  set.add<std::optional<Labels>>(
      {.flag = "--namespace-labels",
       .value = "KEY=VALUE,...",
       .help = "labels of the namespaces that are not among the manifests; " + without_labels},
      label_list(), into.labels);
}

/// What a command works on.
struct Job {
  Options options;
  Configuration configuration;
  configuration::Documents documents;
  std::map<std::string, Labels> namespaces;

  std::string namespace_of(const PodPlace& place) const {
    return place.namespace_name.empty() ? options.namespace_name : place.namespace_name;
  }
  /// Nothing: neither the manifests nor the arguments say.
  std::optional<Labels> labels_of(const std::string& namespace_name) const {
    const auto found = namespaces.find(namespace_name);
    return found == namespaces.end() ? options.labels : found->second;
  }
};

Result<std::string> read_input(const std::string& file) {
  if (file == "-") return std::string{std::istreambuf_iterator<char>(std::cin), {}};
  return read_file(file);
}

Result<void> load_configuration(Job& job) {
  if (job.options.config.empty()) return {};
  auto configuration = configuration::load_configuration(job.options.config);
  if (!configuration) return configuration.error();
  job.configuration = std::move(*configuration);
  return {};
}

Result<void> load_manifests(Job& job) {
  const auto text = read_input(job.options.file);
  if (!text) return text.error();
  auto documents = configuration::parse_documents(*text, job.options.file);
  if (!documents) return documents.error();
  job.documents = std::move(*documents);
  job.namespaces = offline::namespace_labels(job.documents.trees);
  return {};
}

/// Parses and loads; a number is the exit status.
std::optional<int> prepare(std::span<const char* const> arguments, const std::string& program,
                           const std::string& summary, const std::string& without_labels,
                           Job& job) {
  config::OptionSet set(program, summary);
  declare(set, job.options, without_labels);
  switch (set.parse(arguments, config::process_environment)) {
    case config::ParseResult::kHelp:
      return 0;
    case config::ParseResult::kError:
      return 2;
    case config::ParseResult::kRun:
      break;
  }
  const auto failed = [&](const Result<void>& loaded) {
    if (!loaded) std::cerr << program << ": " << loaded.error().text << '\n';
    return !loaded;
  };
  if (failed(load_configuration(job))) return 2;
  if (failed(load_manifests(job))) return 1;
  return std::nullopt;
}

std::string title(const PodPlace& place, const std::string& namespace_name) {
  return place.kind + " " + namespace_name + "/" + (place.name.empty() ? "(no name)" : place.name);
}

void print(const configuration::Documents& documents) {
  if (documents.json) {
    std::cout << documents.trees[0].dump(2, ' ', false, Tree::error_handler_t::replace) << '\n';
    return;
  }
  bool first = true;
  for (const Tree& document : documents.trees) {
    if (!first) std::cout << "---\n";
    first = false;
    if (!document.is_null()) std::cout << configuration::to_yaml(document);
  }
}

std::string to_be_asked_about(const std::string& namespace_name,
                              const Configuration& configuration) {
  return "the label sidetap.io/inject=enabled on namespace " + namespace_name + ", or the " +
         (offline::sees_annotations(configuration) ? "annotation" : "label") +
         " sidetap.io/inject: \"true\" on the pod";
}

/// What a user may do about it; empty: nothing.
std::string remedy(const Outcome& outcome, const std::string& namespace_name,
                   const Configuration& configuration) {
  switch (outcome.reason) {
    case Reason::kNotRequested:
      return to_be_asked_about(namespace_name, configuration);
    case Reason::kPodOptOut:
      return "no annotation or label sidetap.io/inject: \"false\" on the pod, but \"true\" where "
             "the namespace is not enabled";
    case Reason::kNamespaceDisabled:
      return "the label sidetap.io/inject=enabled on namespace " + namespace_name +
             ", or no such label there";
    case Reason::kBadValue:
      return "sidetap.io/inject: \"true\" or \"false\" on the pod";
    case Reason::kAlreadyInjected:
      return outcome.warnings.empty() ? "" : "no annotation sidetap.io/status on the pod";
    case Reason::kNameTaken:
      return "another name for the pod's container, or another sidecar.name in the configuration";
    case Reason::kJobWithoutNative:
      return "sidecar.native: always in the configuration when all kubelets are 1.29 or newer, or "
             "injection.forceJobs: true";
    case Reason::kNoSensor:
      return "sensor.address in the configuration (--config), or the annotation sidetap.io/sensor";
    case Reason::kExcludedPod:
      return "other labels on the pod, or another injection.excludedPods in the configuration";
    case Reason::kProtectedNamespace:
      return "another namespace for the pod";
    case Reason::kHostNetwork:
      return "hostNetwork: false on the pod, if it can do without";
    default:
      return "";
  }
}

/// Why nobody is asked, and what a user may do about it.
struct Silence {
  std::string why;
  std::string remedy;
};

Silence silence(offline::Unasked unasked, const Labels& labels, const std::string& namespace_name,
                const Configuration& configuration) {
  if (unasked == offline::Unasked::kAnnotation)
    return {"before server 1.28 the API server sees no annotation, only a label",
            to_be_asked_about(namespace_name, configuration)};
  const std::string level = labels.at(std::string(offline::kPodSecurityLevel));
  if (level == "baseline")
    return {
        "the namespace enforces Pod Security level baseline, which refuses NET_RAW: the pod "
        "starts without a tap",
        "sidecar.capabilities: runtimeDefault in the configuration"};
  return {"the namespace enforces Pod Security level " + level +
              ", where no container may capture packets: the pod starts without a tap",
          "another namespace for the pod"};
}

void line(std::string_view name, std::string_view text) {
  if (!text.empty()) std::cout << "  " << name << ": " << text << '\n';
}

void print_calls(const std::optional<Labels>& labels, Rule rule, Reason reason) {
  const std::string assumed = labels ? "" : " (its labels are not known; it is taken to have none)";
  if (rule == Rule::kNamespace && reason == Reason::kPodOptOut)
    line("called by",
         "nothing: sidetap.io/inject: \"false\" on the pod keeps the API server from asking; as a "
         "label it does so whatever the annotation says");
  else if (rule == Rule::kNamespace)
    line("called by", "namespace.inject: the namespace is labelled sidetap.io/inject=enabled");
  else if (rule == Rule::kDisabled)
    line("called by", "nothing: the namespace's label sidetap.io/inject is not \"enabled\"");
  else if (reason == Reason::kNotRequested || reason == Reason::kPodOptOut)
    line("called by", "nothing: neither namespace nor pod asks" + assumed);
  else
    line("called by", "pod.inject: the pod asks, and the namespace has no label" + assumed);
}

void explain(const PodPlace& place, const Job& job) {
  const std::string namespace_name = job.namespace_of(place);
  const auto known = job.labels_of(namespace_name);
  const Labels labels = known.value_or(Labels());
  const auto [unasked, outcome] =
      offline::admit_place(place, namespace_name, labels, job.configuration);
  const bool injected = outcome.decision == Decision::kInject;
  std::cout << title(place, namespace_name) << ": "
            << (injected                                 ? "would be injected"
                : outcome.decision == Decision::kRestore ? "would be repaired"
                                                         : "would not be injected")
            << '\n';
  if (unasked != offline::Unasked::kNo) {
    const Silence nobody = silence(unasked, labels, namespace_name, job.configuration);
    line("called by", "nothing: " + nobody.why);
    line("to have it injected, set", nobody.remedy);
    return;
  }
  print_calls(known, offline::rule_of(labels), outcome.reason);
  line("reason", std::string(admission::reason_name(outcome.reason)) + ": " +
                     std::string(admission::reason_text(outcome.reason)));
  for (const std::string& warning : outcome.warnings) line("warning", warning);
  line("to have it injected, set", remedy(outcome, namespace_name, job.configuration));
  if (!injected) return;
  Tree pod = *place.pod;
  offline::apply(outcome, pod);
  line("sidecar", pod["metadata"]["annotations"]["sidetap.io/status"].get<std::string>());
  if (job.configuration.pod_subnets.empty())
    line("attention",
         "subnets.pods is not set in the configuration: the tap cannot tell pods from "
         "other hosts, and packets between tapped pods arrive twice");
}

void inject(const PodPlace& place, const Job& job) {
  const std::string namespace_name = job.namespace_of(place);
  const Labels labels = job.labels_of(namespace_name)
                            .value_or(Labels{{std::string(admission::kInjectKey), "enabled"}});
  const auto [unasked, outcome] =
      offline::admit_place(place, namespace_name, labels, job.configuration);
  const auto warn = [&](const std::string& warning) {
    std::cerr << title(place, namespace_name) << ": " << warning << '\n';
  };
  if (unasked != offline::Unasked::kNo) {
    const Silence nobody = silence(unasked, labels, namespace_name, job.configuration);
    warn("sidetap: not injected: " + nobody.why + "; to have it injected, set " + nobody.remedy);
  }
  for (const std::string& warning : outcome.warnings) warn(warning);
  offline::apply(outcome, *place.pod);
}

/// The cluster's configuration holds no CA: the webhook there has it from its certificates. A tap that
/// is led to the registry without one ends at once.
void leave_out_untrusted_registry(Configuration& configuration) {
  if (!configuration::lacks_registry_ca(configuration)) return;
  std::cerr << "sidetap-webhook inject: the taps are not led to the registry "
            << configuration.registry.address
            << ", since they would end at once without its CA: set registry.ca in the "
               "configuration\n";
  configuration.registry.address.clear();
}

}  // namespace

int inject_command(std::span<const char* const> arguments) {
  Job job;
  if (const auto status = prepare(
          arguments, "sidetap-webhook inject",
          "Prints manifests with every pod and pod template injected as the cluster would do.",
          "without them a namespace counts as enabled", job))
    return *status;
  leave_out_untrusted_registry(job.configuration);
  for (Tree& document : job.documents.trees) {
    for (const PodPlace& place : offline::find_pods(document)) inject(place, job);
  }
  print(job.documents);
  return 0;
}

int explain_command(std::span<const char* const> arguments) {
  Job job;
  if (const auto status = prepare(arguments, "sidetap-webhook explain",
                                  "Says of every pod whether it would be injected, and why.",
                                  "without them a namespace counts as having none", job))
    return *status;
  bool found = false;
  for (Tree& document : job.documents.trees) {
    for (const PodPlace& place : offline::find_pods(document)) {
      explain(place, job);
      found = true;
    }
  }
  if (!found) std::cout << job.options.file << ": no pods and no workloads\n";
  return 0;
}

}  // namespace sidetap
