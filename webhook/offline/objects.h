// Helpers for objects in manifests: their names, and the items of a List.
#pragma once

#include <string>
#include <string_view>

#include "shared/json_members.h"
#include "shared/yaml/tree.h"

namespace sidetap::offline {

using yaml::Tree;

/// The mutable member of an object; null if there is none.
inline Tree* find_member(Tree* tree, std::string_view key) {
  if (tree == nullptr || !tree->is_object()) return nullptr;
  const auto found = tree->find(std::string(key));
  return found == tree->end() ? nullptr : &*found;
}

/// The object's name or generateName.
inline std::string name_of(const Tree& object) {
  const Tree& metadata = member(object, "metadata");
  std::string name = text_of(metadata, "name");
  return name.empty() ? text_of(metadata, "generateName") : name;
}

/// Calls `visit(object, kind)` for the document, or for each item of a List, in order. Items of a
/// typed list (PodList) without a kind get it from the list.
template <typename Visit>
void each_object(Tree& document, Visit&& visit, const std::string& assumed = {},
                 unsigned depth = 0) {
  constexpr unsigned kDeepestList = 8;
  if (!document.is_object() || depth > kDeepestList) return;
  std::string kind = text_of(document, "kind");
  if (kind.empty()) kind = assumed;
  Tree* const items = find_member(&document, "items");
  if (items == nullptr || !items->is_array() || !kind.ends_with("List")) {
    visit(document, kind);
    return;
  }
  const std::string of_items = kind.substr(0, kind.size() - std::string_view("List").size());
  for (Tree& item : *items) each_object(item, visit, of_items, depth + 1);
}

}  // namespace sidetap::offline
