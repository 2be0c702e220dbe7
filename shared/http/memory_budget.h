// Memory that all requests of a server together may hold while they wait for the rest of
// themselves.
#pragma once

#include <atomic>
#include <cstddef>

namespace sidetap::http {

/// Any thread.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t limit) : limit_(limit) {}

  /// What one request holds, until it gives it back or ends. Of one thread.
  class Share {
   public:
    explicit Share(MemoryBudget& budget) : budget_(budget) {}
    ~Share() { hold(0); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    /// From now on `bytes`. False, and nothing is changed, where less than that would be left for
    /// all others: so that a few who want much never keep out those who want little.
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
