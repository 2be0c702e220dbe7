// Lets one coroutine end the wait of another.
#pragma once

#include <functional>
#include <utility>

namespace sidetap::async {

/// Interrupts one coroutine at a time. Use it on one strand. A request stays until it is cleared: a
/// request made before the wait ends that wait at once.
class Interruption {
 public:
  void request() {
    requested_ = true;
    if (wake_) wake_();
  }
  void clear() { requested_ = false; }
  bool requested() const { return requested_; }

  /// While a Scope exists, a request calls `wake`. A null `interruption` never calls it.
  class Scope {
   public:
    Scope(Interruption* interruption, std::function<void()> wake) : interruption_(interruption) {
      if (interruption_ != nullptr) interruption_->wake_ = std::move(wake);
    }
    ~Scope() {
      if (interruption_ != nullptr) interruption_->wake_ = nullptr;
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Interruption* interruption_;
  };

 private:
  bool requested_ = false;
  std::function<void()> wake_;
};

}  // namespace sidetap::async
