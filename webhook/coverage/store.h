// Passes the latest summary from the thread that makes it to the threads that show it.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "webhook/coverage/summary.h"

namespace sidetap::webhook::coverage {

/// Safe from any thread.
class Store {
 public:
  /// Null: the pods are not known, because they have not been listed yet, or not for too long.
  std::shared_ptr<const Summary> latest() const {
    const std::lock_guard lock(mutex_);
    return latest_;
  }
  void put(std::shared_ptr<const Summary> summary) {
    const std::lock_guard lock(mutex_);
    latest_ = std::move(summary);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Summary> latest_;
};

}  // namespace sidetap::webhook::coverage
