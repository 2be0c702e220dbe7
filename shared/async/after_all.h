// Runs a callback once several other callbacks have all been answered.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

namespace sidetap::async {

/// Returns a callback for `count` others to call once each; its last call calls `done`. Without any
/// others, `done` is called at once. One thread: all of these calls come on it. The callback may be
/// copied, and outlives whoever asked for it.
inline std::function<void()> after_all(std::size_t count, std::function<void()> done) {
  if (count == 0) {
    done();
    return [] {};
  }
  return [left = std::make_shared<std::size_t>(count), done = std::move(done)] {
    if (--*left == 0) done();
  };
}

}  // namespace sidetap::async
