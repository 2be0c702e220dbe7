// Answers of the API server that hold for a while, bounded in number. Pure: the caller brings the
// time.
//
// Many bad questions of one peer must not evict the good answers of others: when there are too
// many, expired answers go first, then bad ones, then all.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

namespace sidetap::webhook::registry {

/// For one thread only.
template <typename Value>
class AnswerCache {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit AnswerCache(std::size_t most) : most_(most) {}

  /// Null if there is no answer that still holds. Valid until the next keep().
  const Value* find(const std::string& key, TimePoint now) const {
    const auto found = known_.find(key);
    if (found == known_.end() || found->second.until <= now) return nullptr;
    return &found->second.value;
  }

  /// Replaces the answer to `key`. A `good` one is evicted last.
  void keep(const std::string& key, Value value, bool good, TimePoint until, TimePoint now) {
    if (known_.size() >= most_) forget_some(now);
    known_.insert_or_assign(key, Known{std::move(value), good, until});
  }

  std::size_t size() const { return known_.size(); }

 private:
  struct Known {
    Value value;
    bool good;
    TimePoint until;
  };

  void forget_some(TimePoint now) {
    std::erase_if(known_, [now](const auto& item) { return item.second.until <= now; });
    if (known_.size() < most_) return;
    std::erase_if(known_, [](const auto& item) { return !item.second.good; });
    if (known_.size() >= most_) known_.clear();
  }

  const std::size_t most_;
  std::map<std::string, Known> known_;
};

}  // namespace sidetap::webhook::registry
