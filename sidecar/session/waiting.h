// Waiting that ends: when a descriptor is ready, when time is over, or when somebody asks.
//
// All of it on one thread. System calls are plain and non-blocking; Asio only says when to make
// them, so that a descriptor can be handed to the capture thread at any time.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "shared/net/host_port.h"
#include "shared/net/unique_fd.h"
#include "shared/result.h"

namespace sidetap::session {

/// Lets the waiting of one coroutine be ended from outside. A request stays until it is cleared.
class Interruption {
 public:
  void request() {
    requested_ = true;
    if (wake_) wake_();
  }
  void clear() { requested_ = false; }
  bool requested() const { return requested_; }

  /// While it lives, a request calls `wake`.
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

enum class Wait : std::uint8_t { kReady, kTimedOut, kInterrupted };

using Limit = std::optional<std::chrono::milliseconds>;

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

boost::asio::awaitable<Wait> sleep(boost::asio::any_io_executor executor,
                                   std::chrono::milliseconds time, Interruption* interruption);

/// The addresses behind a name, asked for anew each time; of an address, itself. The system's
/// look-up itself cannot be interrupted: the answer is then not waited for.
boost::asio::awaitable<Result<std::vector<boost::asio::ip::tcp::endpoint>>> resolve(
    boost::asio::any_io_executor executor, const net::HostPort& name, Interruption* interruption);

/// "open: too many open files", from errno.
Error system_error(std::string_view what, int number);

}  // namespace sidetap::session
