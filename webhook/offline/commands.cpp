#include "webhook/offline/commands.h"

#include <iostream>
#include <iterator>
#include <optional>
#include <utility>

#include "shared/config/options.h"
#include "shared/net/text.h"
#include "shared/read_file.h"
#include "shared/yaml/documents.h"
#include "webhook/configuration/configuration_file.h"
#include "webhook/offline/autoscalers.h"
#include "webhook/offline/documents.h"
#include "webhook/offline/objects.h"
#include "webhook/offline/remedies.h"
#include "webhook/pods/keys.h"

namespace sidetap::offline {
namespace {

using admission::Action;
using admission::Entry;
using admission::Reason;
using configuration::Configuration;

struct Options {
  std::string file;
  std::string config;
  std::string namespace_name;
  std::optional<Labels> labels;
};

config::Parser<std::optional<Labels>> label_list() {
  return [](std::string_view text) -> Result<std::optional<Labels>> {
    Labels labels;
    for (const std::string_view item : net::Items::if_any(text)) {
      const std::size_t equals = item.find('=');
      if (equals == item.npos || equals == 0) return Error{"KEY=VALUE, separated by commas"};
      labels[std::string(item.substr(0, equals))] = std::string(item.substr(equals + 1));
    }
    return std::optional(std::move(labels));
  };
}

void declare(config::OptionSet& set, Options& into) {
  set.add<std::string>({.flag = "-f,--file",
                        .value = "FILE",
                        .help = "manifests, YAML or JSON; - is standard input",
                        .required = true},
                       config::any_text(), into.file);
  set.add<std::string>({.flag = "--config",
                        .value = "FILE",
                        .help = "the webhook's configuration file; if unset: built-in defaults"},
                       config::readable_file(), into.config);
  set.add<std::string>({.flag = "--namespace",
                        .value = "NAME",
                        .fallback = "default",
                        .help = "namespace of objects that do not name one"},
                       config::any_text(), into.namespace_name);
  set.add<std::optional<Labels>>(
      {.flag = "--namespace-labels",
       .value = "KEY=VALUE,...",
       .help = "labels of namespaces that the manifests do not contain; if unset: the command "
               "treats such a namespace as labelled sidetap.io/inject=enabled"},
      label_list(), into.labels);
}

struct NamespaceLabels {
  Labels labels;
  bool known = true;  ///< The manifests or the arguments say so.
};

/// The input of a command.
struct Job {
  std::string program;
  Options options;
  Configuration configuration;
  std::vector<Tree> trees;                ///< One for each document; null: empty, or a fault.
  std::vector<yaml::Document> documents;  ///< What else is known of them.
  bool json = false;
  std::map<std::string, Labels> namespaces;
  std::vector<Autoscaler> autoscalers;
  int status = 0;

  std::string file() const { return options.file == "-" ? "standard input" : options.file; }

  std::string namespace_of(const PodPlace& place) const {
    return place.namespace_name.empty() ? options.namespace_name : place.namespace_name;
  }
  /// Users who run this on manifests alone want to see them injected, so an unknown namespace
  /// counts as enabled.
  NamespaceLabels labels_of(const std::string& namespace_name) const {
    const auto found = namespaces.find(namespace_name);
    if (found != namespaces.end()) return {found->second};
    if (options.labels) return {*options.labels};
    return {{{std::string(pods::kInjectKey), "enabled"}}, false};
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
  auto documents = yaml::read_documents(*text, yaml::Repeated::kRefuse);
  if (!documents) return Error{job.file() + ": " + documents.error().text};
  job.json = documents->json;
  job.documents = std::move(documents->all);
  for (yaml::Document& document : job.documents)
    job.trees.push_back(document.fault.empty() ? std::move(document.tree) : Tree());
  job.namespaces = namespace_labels(job.trees);
  job.autoscalers = summing_autoscalers(job.trees);
  return {};
}

/// Parses the arguments and loads the input. Returns an exit status if the command ends here.
std::optional<int> prepare(std::span<const char* const> arguments, const std::string& summary,
                           Job& job) {
  config::OptionSet set(job.program, summary);
  declare(set, job.options);
  switch (set.parse(arguments, config::process_environment)) {
    case config::ParseResult::kHelp:
      return 0;
    case config::ParseResult::kError:
      return 2;
    case config::ParseResult::kRun:
      break;
  }
  const auto failed = [&](const Result<void>& loaded) {
    if (!loaded) std::cerr << job.program << ": " << loaded.error().text << '\n';
    return !loaded;
  };
  if (failed(load_configuration(job))) return 2;
  if (failed(load_manifests(job))) return 1;
  return std::nullopt;
}

std::string title(const PodPlace& place, const std::string& namespace_name) {
  return place.kind + " " + namespace_name + "/" + (place.name.empty() ? "(no name)" : place.name);
}

/// Prints a line about a document on standard error.
void tell(const Job& job, std::size_t document, const std::string& what) {
  std::cerr << job.file() << ": document " << document + 1 << ": " << what << '\n';
}

/// Prints unreadable documents unchanged, so that whoever applies the output also gets an error.
void print(const Job& job) {
  bool first = true;
  for (std::size_t i = 0; i < job.trees.size(); ++i) {
    if (!first && !job.json) std::cout << "---\n";
    first = false;
    if (!job.documents[i].fault.empty())
      std::cout << job.documents[i].text;
    else if (job.json)
      std::cout << job.trees[i].dump(2, ' ', false, Tree::error_handler_t::replace) << '\n';
    else if (!job.trees[i].is_null())
      std::cout << yaml::to_yaml(job.trees[i]);
  }
}

void tell_fault(Job& job, std::size_t i) {
  yaml::Document& document = job.documents[i];
  std::string title = text_of(document.tree, "kind");
  if (const std::string name = name_of(document.tree); !name.empty())
    title += (title.empty() ? "" : " ") + name;
  tell(job, i, (title.empty() ? "" : title + ": ") + document.fault);
  job.status = 1;
}

/// Calls `visit(document, place)` for every pod, and reports why others cannot be visited. Returns
/// false if nothing was visited.
template <typename Visit>
bool each_pod(Job& job, Visit&& visit) {
  bool any = false;
  for (std::size_t i = 0; i < job.trees.size(); ++i) {
    if (!job.documents[i].fault.empty()) {
      tell_fault(job, i);
      continue;
    }
    std::vector<WithoutPod> without;
    for (const PodPlace& place : find_pods(job.trees[i], &without)) {
      visit(i, place);
      any = true;
    }
    for (const WithoutPod& workload : without) {
      const PodPlace place{
          .kind = workload.kind, .name = workload.name, .namespace_name = workload.namespace_name};
      tell(job, i, title(place, job.namespace_of(place)) + ": not injected: " + workload.what);
    }
  }
  return any;
}

/// Warnings about autoscalers in the manifests that a tap in this workload's pods affects.
std::vector<std::string> autoscaler_warnings(const PodPlace& place, const Job& job) {
  std::vector<std::string> warnings;
  for (const Autoscaler& autoscaler : job.autoscalers) {
    const std::string& named = autoscaler.namespace_name;
    if (autoscaler.target_kind == place.kind && autoscaler.target_name == place.name &&
        (named.empty() ? job.options.namespace_name : named) == job.namespace_of(place))
      warnings.push_back(warning_of(autoscaler));
  }
  return warnings;
}

void line(std::string_view name, std::string_view text) {
  if (!text.empty()) std::cout << "  " << name << ": " << text << '\n';
}

void print_calls(bool known, Entry entry, Reason reason) {
  if (entry == Entry::kNamespace && reason == Reason::kPodOptOut)
    line("webhook entry",
         "none: the pod opts out with sidetap.io/inject: \"false\"; if the pod has this value as a "
         "label, its annotation does not count");
  else if (entry == Entry::kNamespace)
    line("webhook entry", known ? "namespace.inject: the namespace is labelled "
                                  "sidetap.io/inject=enabled"
                                : "namespace.inject, if the namespace is labelled "
                                  "sidetap.io/inject=enabled; its labels are not known "
                                  "(--namespace-labels)");
  else if (entry == Entry::kDisabled)
    line("webhook entry", "none: the namespace's label sidetap.io/inject is not \"enabled\"");
  else if (reason == Reason::kNotRequested || reason == Reason::kPodOptOut)
    line("webhook entry", "none: neither the namespace nor the pod opts in");
  else
    line("webhook entry", "pod.inject: the pod opts in, and the namespace has no label");
}

/// What the taps cannot know, since neither subnets nor a registry tell them.
std::vector<std::string_view> missing_subnets(const Configuration& configuration) {
  const bool registry = !configuration.registry.address.empty();
  std::vector<std::string_view> missing;
  if (!registry && configuration.taps[tap::kPodSubnets].empty())
    missing.emplace_back(
        "subnets.pods is not set in the configuration, and there is no registry: the tap cannot "
        "distinguish pods from other hosts, so packets between tapped pods arrive twice");
  if (!configuration.taps[tap::kServiceSubnets].empty()) return missing;
  if (configuration.taps[tap::kServiceView] == "never")
    missing.emplace_back(
        "sidecar.serviceView is never, but subnets.services is not set in the configuration: the "
        "tap does not recognize packets with a Service's address, so it forwards them all");
  else if (!registry)
    missing.emplace_back(
        "subnets.services is not set in the configuration, and there is no registry: the tap "
        "treats Services as untapped peers, so packets through a Service arrive twice if the "
        "backend is tapped");
  return missing;
}

/// Which settings the pod's tap gets; empty: those of all taps.
std::string profile_line(const PodPlace& place, std::string_view namespace_name,
                         const Configuration& configuration) {
  const Tree& annotations = member(member(*place.pod, "metadata"), "annotations");
  const std::string asked = text_of(annotations, "sidetap.io/profile");
  const std::string name(configuration::profile_name_of(configuration, namespace_name, asked));
  if (name.empty()) return name;
  return name + (name == asked ? " (annotation sidetap.io/profile)"
                               : " (profiles." + name + ".namespaces)");
}

void explain(std::size_t document, const PodPlace& place, Job& job) {
  const std::string namespace_name = job.namespace_of(place);
  const auto [labels, known] = job.labels_of(namespace_name);
  const auto [unasked, answer] = admit_place(place, namespace_name, labels, job.configuration);
  const bool injected = answer.action == Action::kInject;
  std::cout << title(place, namespace_name) << ": "
            << (injected                            ? "would be injected"
                : answer.action == Action::kRestore ? "would be repaired"
                                                    : "would not be injected")
            << '\n';
  if (unasked != Unasked::kNo) {
    const Silence nobody = silence(unasked, labels, namespace_name, job.configuration);
    line("webhook entry", "none: " + nobody.why);
    line("to get a tap", nobody.remedy);
    return;
  }
  print_calls(known, entry_of(labels), answer.reason);
  line("reason", std::string(admission::reason_name(answer.reason)) + ": " +
                     std::string(admission::reason_text(answer.reason)));
  for (const std::string& warning : answer.warnings) line("warning", warning);
  line("to get a tap", remedy(answer, namespace_name, job.configuration));
  if (!injected) return;
  for (const std::string& warning : autoscaler_warnings(place, job)) line("warning", warning);
  Tree pod = *place.pod;
  if (const auto applied = apply(answer, pod); !applied) {
    tell(job, document, title(place, namespace_name) + ": " + applied.error().text);
    job.status = 1;
    return;
  }
  line("profile", profile_line(place, namespace_name, job.configuration));
  line("sidecar", pod["metadata"]["annotations"]["sidetap.io/status"].get<std::string>());
  for (const std::string_view missing : missing_subnets(job.configuration))
    line("attention", missing);
}

void inject(std::size_t document, const PodPlace& place, Job& job) {
  const std::string namespace_name = job.namespace_of(place);
  const Labels labels = job.labels_of(namespace_name).labels;
  const auto [unasked, answer] = admit_place(place, namespace_name, labels, job.configuration);
  const auto warn = [&](const std::string& warning) {
    tell(job, document, title(place, namespace_name) + ": " + warning);
  };
  if (unasked != Unasked::kNo) {
    const Silence nobody = silence(unasked, labels, namespace_name, job.configuration);
    warn("sidetap: not injected: " + nobody.why + "; to get a tap, " + nobody.remedy);
  }
  for (const std::string& warning : answer.warnings) warn(warning);
  if (answer.action == Action::kInject)
    for (const std::string& warning : autoscaler_warnings(place, job)) warn(warning);
  if (const auto applied = apply(answer, *place.pod); !applied) {
    warn(applied.error().text);
    job.status = 1;
  }
}

/// The cluster's configuration holds no CA, because the webhook there takes it from its
/// certificates. A tap with a registry but without its CA ends at once. Without the registry,
/// nothing but --tapped-peers says which peers forward too.
void leave_out_untrusted_registry(Configuration& configuration) {
  if (!configuration::lacks_registry_ca(configuration)) return;
  std::cerr << "sidetap-webhook inject: the manifests leave out the registry "
            << configuration.registry.address
            << ", because a tap without the registry's CA exits at once: set registry.ca in the "
               "configuration"
            << (configuration.taps[tap::kTappedPeers] == "none"
                    ? ", or packets between tapped pods arrive twice\n"
                    : "\n");
  configuration.registry.address.clear();
}

}  // namespace

int inject_command(std::span<const char* const> arguments) {
  Job job;
  job.program = "sidetap-webhook inject";
  if (const auto status = prepare(
          arguments,
          "Prints manifests with a tap in each pod and pod template, as the cluster would add it.",
          job))
    return *status;
  leave_out_untrusted_registry(job.configuration);
  each_pod(job, [&](std::size_t i, const PodPlace& place) { inject(i, place, job); });
  print(job);
  return job.status;
}

int explain_command(std::span<const char* const> arguments) {
  Job job;
  job.program = "sidetap-webhook explain";
  if (const auto status =
          prepare(arguments, "Says for every pod whether it would get a tap, and why.", job))
    return *status;
  const bool found =
      each_pod(job, [&](std::size_t i, const PodPlace& place) { explain(i, place, job); });
  if (!found && job.status == 0) std::cout << job.file() << ": no pods and no workloads\n";
  return job.status;
}

}  // namespace sidetap::offline
