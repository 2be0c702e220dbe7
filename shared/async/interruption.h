// A request by which one coroutine ends another one's waiting.
#pragma once

#include <functional>
#include <utility>

namespace sidetap::async {

/// Of one coroutine at a time. One strand. A request stays until it is cleared, so that one which
/// comes before the wait ends the wait at once.
class Interruption {
 public:
  void request() {
    requested_ = true;
    if (wake_) wake_();
  }
  void clear() { requested_ = false; }
  bool requested() const { return requested_; }

  /// While it lives, a request calls `wake`. A null `interruption` never does.
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
