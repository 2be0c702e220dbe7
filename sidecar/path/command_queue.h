// A queue of commands to a thread that has other work. The thread runs them in order when it is
// ready, and replies go back to the thread that gave them. Neither thread waits for the other.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "shared/net/unique_fd.h"

namespace sidetap {

/// One thread gives commands and receives the answers; another one, the worker, runs them. Without
/// a worker, each command runs and is answered within the call that gives it.
class CommandQueue {
 public:
  using Task = std::function<void()>;
  /// Runs a task on the thread that gives commands; called on the worker's.
  using Reply = std::function<void(Task)>;

  explicit CommandQueue(Reply reply);

  // --- the thread that gives commands ---

  /// Call it when there is a worker, which calls run() from then on.
  void open();
  /// Call it when the worker has ended. Runs the remaining commands.
  void close();
  /// Calls `done` after the command, or never if the reply is lost.
  void post(Task command, Task done = {});
  /// The same for a command that returns a value.
  template <typename T>
  void ask(std::function<T()> question, std::function<void(T)> answer) {
    const auto kept = std::make_shared<std::optional<T>>();
    post([kept, question = std::move(question)] { kept->emplace(question()); },
         [kept, answer = std::move(answer)] { answer(std::move(**kept)); });
  }

  // --- the worker ---

  /// Whether commands are waiting. Cheap.
  bool due() const { return due_.load(std::memory_order_acquire); }
  /// Runs the waiting commands. Commands that they post wait for the next call.
  void run();
  /// Runs a task on the thread that gives commands, for a command that completes later.
  void answer(Task task) { reply_(std::move(task)); }
  /// Readable while commands wait.
  int descriptor() const { return wake_.get(); }

 private:
  struct Command {
    Task run;
    Task done;
  };

  const Reply reply_;
  bool open_ = false;  // of the thread that gives commands
  std::mutex mutex_;
  std::vector<Command> waiting_;  // under mutex_
  std::atomic<bool> due_{false};
  net::UniqueFd wake_;
};

}  // namespace sidetap
