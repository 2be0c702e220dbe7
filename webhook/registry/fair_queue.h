// A bounded queue in which sources take turns, however many wait behind each of them. Pure.
//
// Whoever comes from a source that asks much waits behind its own kind: another source waits for
// one item of each source that has some waiting, at most.
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

  /// Behind those of the same source. A full queue gives up the last item of the source that has
  /// most waiting, or this one where no source has two more than its own; that item is returned.
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

  /// The first of the source whose turn it is.
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
  std::deque<Source> turns_;                    // each source that has some waiting, once
};

}  // namespace sidetap::webhook::registry
