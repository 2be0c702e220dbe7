// Limits the memory that all incomplete requests of a server hold together.
#pragma once

#include <atomic>
#include <cstddef>

namespace sidetap::http {

/// Safe from any thread.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t limit) : limit_(limit) {}

  /// The share of one request, until it ends. For one thread.
  class Share {
   public:
    explicit Share(MemoryBudget& budget) : budget_(budget) {}
    ~Share() { hold(0); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    /// Sets the share to `bytes`. Returns false and changes nothing if less than `bytes` would then
    /// be left for all others. A few large requests therefore never block the small ones.
    bool hold(std::size_t bytes) {
      if (bytes > bytes_) {
        const std::size_t more = bytes - bytes_;
        if (budget_.held_.fetch_add(more) + more + bytes > budget_.limit_) {
          budget_.held_ -= more;
          return false;
        }
      } else {
        budget_.held_ -= bytes_ - bytes;
      }
      bytes_ = bytes;
      return true;
    }

   private:
    MemoryBudget& budget_;
    std::size_t bytes_ = 0;
  };

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> held_{0};
};

}  // namespace sidetap::http
