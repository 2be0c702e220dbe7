// Bounded waits: for a descriptor, a time limit or an interruption, whichever comes first.
//
// Use everything here on one strand. The caller makes plain, non-blocking system calls on the
// descriptor; Asio only says when to make them. A descriptor can therefore be handed to another
// thread at any time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "shared/async/interruption.h"
#include "shared/net/unique_fd.h"

namespace sidetap::async {

/// kInterrupted is also the result when the coroutine's task is cancelled; its next co_await then
/// throws.
enum class Wait : std::uint8_t { kReady, kTimedOut, kInterrupted };

/// Nothing means no limit.
using Limit = std::optional<std::chrono::milliseconds>;

/// Returns kTimedOut after `time`. With a null `interruption`, the sleep cannot be interrupted.
boost::asio::awaitable<Wait> sleep(boost::asio::any_io_executor executor,
                                   std::chrono::milliseconds time, Interruption* interruption);

/// Owns a descriptor to wait for, and sets it to non-blocking.
class AsyncFd {
 public:
  using Direction = boost::asio::posix::descriptor_base::wait_type;
  static constexpr Direction kRead = Direction::wait_read;
  static constexpr Direction kWrite = Direction::wait_write;

  AsyncFd(const boost::asio::any_io_executor& executor, net::UniqueFd fd);
  AsyncFd(AsyncFd&&) = default;
  AsyncFd& operator=(AsyncFd&&) = default;

  /// With a null `interruption`, the wait cannot be interrupted. A descriptor with an error counts
  /// as ready: the next system call reports the error.
  boost::asio::awaitable<Wait> wait(Direction direction, Limit limit, Interruption* interruption);
  int get() { return descriptor_.native_handle(); }
  boost::asio::any_io_executor executor() { return descriptor_.get_executor(); }
  net::UniqueFd release() { return net::UniqueFd(descriptor_.release()); }

 private:
  boost::asio::posix::stream_descriptor descriptor_;
};

}  // namespace sidetap::async
