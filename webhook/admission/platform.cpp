#include "webhook/admission/platform.h"

#include <optional>
#include <string_view>

namespace sidetap::admission {
namespace {

constexpr std::string_view kLinux = "linux";
constexpr std::string_view kWindows = "windows";

/// What nodes of an operating system have as a label.
struct Label {
  bool known = false;           ///< Nothing is known of other labels.
  std::string_view value = {};  ///< Empty: such nodes do not have it, or any value.
};

Label label_of_nodes(std::string_view key, std::string_view system) {
  if (key == "kubernetes.io/os" || key == "beta.kubernetes.io/os") return {true, system};
  if (key == "node.kubernetes.io/windows-build") return {system == kLinux};
  return {};
}

bool is_listed(const std::optional<Value>& values, std::string_view wanted) {
  bool listed = false;
  each_element(values, [&](Value value) { listed = listed || as_text(value) == wanted; });
  return listed;
}

/// May a node of this system fulfil the requirement?
bool may_fulfil(Value requirement, std::string_view system) {
  const Label label = label_of_nodes(text_of(requirement, "key"), system);
  if (!label.known) return true;
  const std::string_view op = text_of(requirement, "operator");
  const bool listed = !label.value.empty() && is_listed(find(requirement, "values"), label.value);
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return !label.value.empty();
  if (op == "DoesNotExist") return label.value.empty();
  // Gt and Lt compare numbers, which these labels are not.
  return false;
}

/// One without requirements is fulfilled by no node.
bool may_match(Value term, std::string_view system) {
  bool any = false;
  bool all = true;
  const auto expressions = find(term, "matchExpressions");
  each_element(expressions, [&](Value requirement) {
    any = true;
    all = all && may_fulfil(requirement, system);
  });
  const auto fields = as_array(find(term, "matchFields"));
  return all && (any || (fields && fields->size() > 0));
}

std::optional<simdjson::dom::array> required_terms(Value spec) {
  const auto node_affinity = find(find(spec, "affinity"), "nodeAffinity");
  const auto required = find(node_affinity, "requiredDuringSchedulingIgnoredDuringExecution");
  return as_array(find(required, "nodeSelectorTerms"));
}

bool selector_refuses(const std::optional<Value>& selector, std::string_view system) {
  bool refuses = false;
  each_member(selector, [&](std::string_view key, Value value) {
    const Label label = label_of_nodes(key, system);
    refuses = refuses || (label.known && as_text(value) != label.value) ||
              (label.known && label.value.empty());
  });
  return refuses;
}

bool names_system(Value spec) {
  const auto selector = find(spec, "nodeSelector");
  if (find(selector, "kubernetes.io/os") || find(selector, "beta.kubernetes.io/os")) return true;
  bool names = false;
  if (const auto terms = required_terms(spec))
    for (const Value term : *terms)
      each_element(find(term, "matchExpressions"), [&](Value requirement) {
        names = names || label_of_nodes(text_of(requirement, "key"), kLinux).known;
      });
  return names;
}

bool has_windows_options(const std::optional<Value>& holder) {
  bool has = false;
  each_member(find(find(holder, "securityContext"), "windowsOptions"),
              [&](std::string_view, Value value) { has = has || !value.is_null(); });
  return has;
}

bool any_windows_options(Value spec) {
  bool any = has_windows_options(spec);
  for (const std::string_view list : {"containers", "initContainers"})
    each_element(find(spec, list), [&](Value one) { any = any || has_windows_options(one); });
  return any;
}

}  // namespace

bool is_kept_from_linux(Value spec) {
  if (const auto name = as_text(find(find(spec, "os"), "name"))) return *name != kLinux;
  if (selector_refuses(find(spec, "nodeSelector"), kLinux)) return true;
  if (const auto terms = required_terms(spec); terms && terms->size() > 0) {
    bool any = false;
    for (const Value term : *terms) any = any || may_match(term, kLinux);
    if (!any) return true;
  }
  return !names_system(spec) && any_windows_options(spec);
}

bool is_offered_to_windows(Value spec) {
  if (as_text(find(find(spec, "os"), "name")) == kLinux ||
      selector_refuses(find(spec, "nodeSelector"), kWindows))
    return false;
  bool offered = false;
  if (const auto terms = required_terms(spec))
    for (const Value term : *terms) {
      bool asks = false;
      each_element(find(term, "matchExpressions"), [&](Value requirement) {
        asks = asks || (text_of(requirement, "operator") == "In" &&
                        label_of_nodes(text_of(requirement, "key"), kWindows).value == kWindows &&
                        is_listed(find(requirement, "values"), kWindows));
      });
      offered = offered || (asks && may_match(term, kWindows));
    }
  return offered;
}

}  // namespace sidetap::admission
