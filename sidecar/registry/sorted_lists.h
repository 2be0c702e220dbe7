// Lists that are ascending, without repetitions, and set operations on them. Pure.
#pragma once

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace sidetap::registry {

/// A list in that form that is shared and never changes. Never null.
template <typename Item>
using SharedList = std::shared_ptr<const std::vector<Item>>;
template <typename Item>
SharedList<Item> shared_list(std::vector<Item> list = {}) {
  return std::make_shared<const std::vector<Item>>(std::move(list));
}

/// Brings a list into that form.
template <typename Item>
std::vector<Item> ordered(std::vector<Item> list) {
  if (!std::is_sorted(list.begin(), list.end())) std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  list.shrink_to_fit();
  return list;
}

template <typename Item>
std::vector<Item> without(const std::vector<Item>& all, const std::vector<Item>& some) {
  std::vector<Item> left;
  left.reserve(all.size());
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::back_inserter(left));
  return left;
}

template <typename Item>
std::vector<Item> united(const std::vector<Item>& a, const std::vector<Item>& b) {
  std::vector<Item> all;
  all.reserve(std::max(a.size(), b.size()));
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

template <typename Item>
std::vector<Item> common(const std::vector<Item>& a, const std::vector<Item>& b) {
  std::vector<Item> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

}  // namespace sidetap::registry
