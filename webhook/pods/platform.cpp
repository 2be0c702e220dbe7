#include "webhook/pods/platform.h"

#include <optional>
#include <string_view>

namespace sidetap::pods {
namespace {

using json::as_array;
using json::as_text;
using json::each_element;
using json::each_member;
using json::find;
using json::text_of;
using json::Value;
using MaybeValue = std::optional<Value>;
using Terms = std::optional<simdjson::dom::array>;

constexpr std::string_view kLinux = "linux";
constexpr std::string_view kWindows = "windows";

/// A label on nodes of an operating system.
struct Label {
  bool known = false;           ///< Nothing is known of other labels.
  std::string_view value = {};  ///< Empty: such nodes do not have it, or any value.
};

Label label_of_nodes(std::string_view key, std::string_view system) {
  if (key == "kubernetes.io/os" || key == "beta.kubernetes.io/os") return {true, system};
  if (key == "node.kubernetes.io/windows-build") return {system == kLinux};
  return {};
}

bool is_listed(const MaybeValue& values, std::string_view wanted) {
  bool listed = false;
  each_element(values, [&](Value value) { listed = listed || as_text(value) == wanted; });
  return listed;
}

/// Whether a node of this system may meet the requirement.
bool may_fulfil(Value requirement, std::string_view system) {
  const Label label = label_of_nodes(text_of(requirement, "key"), system);
  if (!label.known) return true;
  const std::string_view op = text_of(requirement, "operator");
  const bool listed = !label.value.empty() && is_listed(find(requirement, "values"), label.value);
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return !label.value.empty();
  if (op == "DoesNotExist") return label.value.empty();
  // Gt and Lt compare numbers, but these labels are not numeric.
  return false;
}

/// No node matches a term without requirements.
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

Terms required_terms(const MaybeValue& affinity) {
  const auto node_affinity = find(affinity, "nodeAffinity");
  const auto required = find(node_affinity, "requiredDuringSchedulingIgnoredDuringExecution");
  return as_array(find(required, "nodeSelectorTerms"));
}

bool selector_refuses(const MaybeValue& selector, std::string_view system) {
  bool refuses = false;
  each_member(selector, [&](std::string_view key, Value value) {
    const Label label = label_of_nodes(key, system);
    refuses = refuses || (label.known && as_text(value) != label.value) ||
              (label.known && label.value.empty());
  });
  return refuses;
}

bool names_system(const MaybeValue& selector, const Terms& terms) {
  if (find(selector, "kubernetes.io/os") || find(selector, "beta.kubernetes.io/os")) return true;
  if (!terms) return false;
  bool names = false;
  for (const Value term : *terms)
    each_element(find(term, "matchExpressions"), [&](Value requirement) {
      names = names || label_of_nodes(text_of(requirement, "key"), kLinux).known;
    });
  return names;
}

bool is_kept_from_linux(const PlatformHints& hints, const Terms& terms) {
  if (const auto name = as_text(find(hints.os, "name"))) return *name != kLinux;
  if (selector_refuses(hints.node_selector, kLinux)) return true;
  if (terms && terms->size() > 0) {
    bool any = false;
    for (const Value term : *terms) any = any || may_match(term, kLinux);
    if (!any) return true;
  }
  return hints.windows_options && !names_system(hints.node_selector, terms);
}

/// Whether a requirement of the term names Windows.
bool asks_for_windows(Value term) {
  bool asks = false;
  each_element(find(term, "matchExpressions"), [&](Value requirement) {
    asks = asks || (text_of(requirement, "operator") == "In" &&
                    label_of_nodes(text_of(requirement, "key"), kWindows).value == kWindows &&
                    is_listed(find(requirement, "values"), kWindows));
  });
  return asks;
}

bool is_offered_to_windows(const PlatformHints& hints, const Terms& terms) {
  if (!terms || as_text(find(hints.os, "name")) == kLinux ||
      selector_refuses(hints.node_selector, kWindows))
    return false;
  bool offered = false;
  for (const Value term : *terms)
    offered = offered || (asks_for_windows(term) && may_match(term, kWindows));
  return offered;
}

}  // namespace

Platform platform_of(const PlatformHints& hints) {
  const Terms terms = required_terms(hints.affinity);
  return {.kept_from_linux = is_kept_from_linux(hints, terms),
          .offered_to_windows = is_offered_to_windows(hints, terms)};
}

bool has_windows_options(const MaybeValue& security_context) {
  bool has = false;
  each_member(find(security_context, "windowsOptions"),
              [&](std::string_view, Value value) { has = has || !value.is_null(); });
  return has;
}

}  // namespace sidetap::pods
