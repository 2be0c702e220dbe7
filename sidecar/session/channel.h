// A control connection: an ordered byte stream over TCP or TLS. Every wait is bounded.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <openssl/ssl.h>

#include "shared/async/waiting.h"

namespace sidetap::session {

enum class ChannelStatus : std::uint8_t { kDone, kClosed, kTimedOut, kInterrupted, kFailed };

struct ChannelOutcome {
  ChannelStatus status = ChannelStatus::kDone;
  std::size_t moved = 0;  ///< Bytes, with any status.
  std::string text;       ///< For kFailed.
};

class Channel {
 public:
  /// A null `tls` means a plain connection.
  Channel(async::AsyncFd fd, std::shared_ptr<SSL> tls) : fd_(std::move(fd)), tls_(std::move(tls)) {}

  /// Fills all of `bytes`. `first` bounds the wait for the first byte, `each` every further wait.
  boost::asio::awaitable<ChannelOutcome> read(std::span<std::byte> bytes, async::Limit first,
                                              async::Limit each, async::Interruption* interruption);
  /// Writes all of `bytes`. Not interruptible: half a message would break the connection.
  boost::asio::awaitable<ChannelOutcome> write(std::span<const std::byte> bytes, async::Limit each);
  /// Ends the sending direction, and gives the peer up to `linger` to receive what was sent.
  boost::asio::awaitable<void> close(std::chrono::milliseconds linger);

 private:
  struct Step {
    std::size_t moved = 0;
    bool closed = false;
    bool again = false;
    async::AsyncFd::Direction direction = async::AsyncFd::kRead;
    std::string failure{};
  };
  Step read_some(std::span<std::byte> bytes);
  Step write_some(std::span<const std::byte> bytes);
  Step tls_step(int result, std::size_t moved);

  async::AsyncFd fd_;
  std::shared_ptr<SSL> tls_;
};

}  // namespace sidetap::session
