// Commands to a thread that has other things to do: it runs them one after the other when it comes
// by, and they are answered where they came from. Nobody waits for anybody.
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

/// One thread gives commands and gets the answers; another one, the worker, runs the commands.
/// While there is no worker, each command runs and is answered at once, within the call that gives
/// it.
class CommandQueue {
 public:
  using Task = std::function<void()>;
  /// Runs a task on the thread that gives commands; called on the worker's.
  using Reply = std::function<void(Task)>;

  explicit CommandQueue(Reply reply);

  // --- the thread that gives commands ---

  /// There is a worker from now on, which calls run().
  void open();
  /// The worker has ended: runs what it has left.
  void close();
  /// `done` is called after the command; not at all where the reply does not come through.
  void post(Task command, Task done = {});
  /// The same for a question that has an answer.
  template <typename T>
  void ask(std::function<T()> question, std::function<void(T)> answer) {
    const auto kept = std::make_shared<std::optional<T>>();
    post([kept, question = std::move(question)] { kept->emplace(question()); },
         [kept, answer = std::move(answer)] { answer(std::move(**kept)); });
  }

  // --- the worker ---

  /// Commands wait. Cheap.
  bool due() const { return due_.load(std::memory_order_acquire); }
  /// Runs those that wait. What they give themselves waits for the next call.
  void run();
  /// Runs a task on the thread that gives commands, for one whose command is done only later.
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
