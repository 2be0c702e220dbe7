// Removes repetitions from lists.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace sidetap::net {

/// `list` without repetitions, in order of first occurrence. Takes quadratic time: for short lists.
template <typename T, typename Same = std::equal_to<>>
std::vector<T> distinct(std::vector<T> list, Same same = {}) {
  std::vector<T> once;
  for (T& item : list) {
    const bool known =
        std::any_of(once.begin(), once.end(), [&](const T& other) { return same(other, item); });
    if (!known) once.push_back(std::move(item));
  }
  return once;
}

}  // namespace sidetap::net
