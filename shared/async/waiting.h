// Waiting that ends: when a descriptor is ready, when time is over, or when somebody asks.
//
// All of it on one strand. System calls on a descriptor are plain and non-blocking; Asio only says
// when to make them, so that a descriptor can be handed to another thread at any time.
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

/// kInterrupted also where the coroutine's task is cancelled; its next co_await then throws.
enum class Wait : std::uint8_t { kReady, kTimedOut, kInterrupted };

/// None: no limit.
using Limit = std::optional<std::chrono::milliseconds>;

/// kTimedOut after `time`. A null `interruption` cannot be interrupted.
boost::asio::awaitable<Wait> sleep(boost::asio::any_io_executor executor,
                                   std::chrono::milliseconds time, Interruption* interruption);

/// A descriptor to wait for. It is set to non-blocking.
class AsyncFd {
 public:
  using Direction = boost::asio::posix::descriptor_base::wait_type;
  static constexpr Direction kRead = Direction::wait_read;
  static constexpr Direction kWrite = Direction::wait_write;

  AsyncFd(const boost::asio::any_io_executor& executor, net::UniqueFd fd);
  AsyncFd(AsyncFd&&) = default;
  AsyncFd& operator=(AsyncFd&&) = default;

  /// A null `interruption` cannot be interrupted. An error of the descriptor counts as ready: the
  /// next system call tells it.
  boost::asio::awaitable<Wait> wait(Direction direction, Limit limit, Interruption* interruption);
  int get() { return descriptor_.native_handle(); }
  boost::asio::any_io_executor executor() { return descriptor_.get_executor(); }
  net::UniqueFd release() { return net::UniqueFd(descriptor_.release()); }

 private:
  boost::asio::posix::stream_descriptor descriptor_;
};

}  // namespace sidetap::async
