// A bounded queue in which sources take turns, however many items each has. Pure.
//
// A busy source delays only itself: any other source waits for at most one item of each waiting
// source.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <utility>

namespace sidetap::webhook::registry {

template <typename Source, typename Item>
class FairQueue {
 public:
  explicit FairQueue(std::size_t most) : most_(most) {}

  /// Appends the item to those of its source. A full queue drops the last item of the source with
  /// the most items, or this item if no source has at least two more than its own. Returns the
  /// dropped item.
  std::optional<Item> push(const Source& source, Item item) {
    std::optional<Item> given_up;
    if (size_ >= most_) {
      const auto longest = std::max_element(
          waiting_.begin(), waiting_.end(),
          [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
      const auto own = waiting_.find(source);
      const std::size_t before = own == waiting_.end() ? 0 : own->second.size();
      if (longest == waiting_.end() || longest->second.size() < before + 2) return item;
      given_up = std::move(longest->second.back());
      longest->second.pop_back();
      --size_;
    }
    auto& line = waiting_[source];
    if (line.empty()) turns_.push_back(source);
    line.push_back(std::move(item));
    ++size_;
    return given_up;
  }

  /// Removes the first item of the source whose turn it is.
  std::optional<Item> pop() {
    if (turns_.empty()) return std::nullopt;
    const auto line = waiting_.find(turns_.front());
    turns_.pop_front();
    Item item = std::move(line->second.front());
    line->second.pop_front();
    if (line->second.empty()) {
      waiting_.erase(line);
    } else {
      turns_.push_back(line->first);
    }
    --size_;
    return item;
  }

  std::size_t size() const { return size_; }

 private:
  const std::size_t most_;
  std::size_t size_ = 0;
  std::map<Source, std::deque<Item>> waiting_;  // none is empty
  std::deque<Source> turns_;                    // each source with waiting items, once
};

}  // namespace sidetap::webhook::registry
