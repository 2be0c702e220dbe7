#include "sidecar/path/command_queue.h"

#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

namespace sidetap {

CommandQueue::CommandQueue(Reply reply)
    : reply_(std::move(reply)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void CommandQueue::open() { open_ = true; }

void CommandQueue::close() {
  open_ = false;
  for (Command& command : std::exchange(waiting_, {}))
    post(std::move(command.run), std::move(command.done));
}

void CommandQueue::post(Task command, Task done) {
  if (!open_) {
    command();
    if (done) done();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(command), std::move(done)});
  }
  // Announced before it is due, and in run() the other way round: who sees that it is due reads the
  // announcement, and none stays behind to wake a worker that has nothing to do.
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_.get(), &one, sizeof one);
  due_.store(true, std::memory_order_release);
}

void CommandQueue::run() {
  // Before they are taken: one that comes in between is due again rather than forgotten.
  due_.store(false, std::memory_order_seq_cst);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(wake_.get(), &count, sizeof count);
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mutex_);
    commands.swap(waiting_);
  }
  for (Command& command : commands) {
    command.run();
    command.run = nullptr;
    if (command.done) reply_(std::move(command.done));
  }
}

}  // namespace sidetap
