// A list that is published: a set, its changes and its limit. Pure.
//
// Of more items than the limit allows, the first in order are listed. So what is left out depends
// on the set alone and not on its history.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <set>
#include <vector>

namespace sidetap::webhook::registry {

template <typename T>
class BoundedList {
 public:
  explicit BoundedList(std::size_t most) : most_(most) {}

  /// Adds or removes an item of the set.
  void set(const T& item, bool is_member) { is_member ? insert(item) : erase(item); }
  /// Makes `items` all members that are not less than `from` and not greater than `to`.
  void assign(const T& from, const T& to, const std::set<T>& items) {
    std::vector<T> old;
    for (const std::set<T>* part : {&first_, &rest_}) {
      for (auto i = part->lower_bound(from); i != part->end() && !(to < *i); ++i)
        if (!items.contains(*i)) old.push_back(*i);
    }
    for (const T& item : old) erase(item);
    for (const T& item : items) insert(item);
  }
  /// Publishes the list, as initially, or an empty one instead.
  void show(bool shown) { shown_ = shown; }

  /// Whether flush() has something to publish.
  bool changed() const {
    if (shown_ != was_shown_) return !(shown_ ? first_ : published_).empty();
    return shown_ && std::any_of(touched_.begin(), touched_.end(), [this](const T& item) {
             return first_.contains(item) != published_.contains(item);
           });
  }
  /// Publishes the changes since the last call. Appends them in ascending order.
  void flush(std::vector<T>& add, std::vector<T>& remove) {
    if (shown_ != was_shown_) {
      add.insert(add.end(), shown_ ? first_.begin() : first_.end(), first_.end());
      remove.insert(remove.end(), published_.begin(), published_.end());
      published_ = shown_ ? first_ : std::set<T>();
    } else if (shown_) {
      for (const T& item : touched_) publish(item, add, remove);
    }
    was_shown_ = shown_;
    touched_.clear();
  }
  /// The list at the last flush().
  const std::set<T>& published() const { return published_; }
  /// The number of items that would be published.
  std::size_t listed() const { return first_.size(); }
  /// Members that were not published at the last flush(), if nothing has changed since.
  std::size_t left_out() const { return first_.size() + rest_.size() - published_.size(); }

 private:
  void publish(const T& item, std::vector<T>& add, std::vector<T>& remove) {
    const bool listed = first_.contains(item);
    if (listed && published_.insert(item).second) add.push_back(item);
    if (!listed && published_.erase(item) > 0) remove.push_back(item);
  }
  void insert(const T& item) {
    if (rest_.contains(item) || !first_.insert(item).second) return;
    touched_.insert(item);
    if (first_.size() <= most_) return;
    const auto last = std::prev(first_.end());
    touched_.insert(*last);
    rest_.insert(*last);
    first_.erase(last);
  }
  void erase(const T& item) {
    if (rest_.erase(item) > 0 || first_.erase(item) == 0) return;
    touched_.insert(item);
    if (rest_.empty()) return;
    touched_.insert(*rest_.begin());
    first_.insert(*rest_.begin());
    rest_.erase(rest_.begin());
  }

  const std::size_t most_;
  std::set<T> first_, rest_;  // rest_ is empty unless first_ is full, and greater than it
  std::set<T> published_;
  std::set<T> touched_;  // since the last flush()
  bool shown_ = true, was_shown_ = true;
};

}  // namespace sidetap::webhook::registry
