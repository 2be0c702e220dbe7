// A control connection: bytes in order over TCP or TLS, every wait bounded.
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
  std::size_t moved = 0;  ///< Bytes, whatever the status.
  std::string text;       ///< Of kFailed.
};

class Channel {
 public:
  /// `tls` may be null: then plain.
  Channel(async::AsyncFd fd, std::shared_ptr<SSL> tls) : fd_(std::move(fd)), tls_(std::move(tls)) {}

  /// All of `bytes`. `first` bounds the wait for the first byte, `each` every further one.
  boost::asio::awaitable<ChannelOutcome> read(std::span<std::byte> bytes, async::Limit first,
                                              async::Limit each, async::Interruption* interruption);
  /// All of `bytes`. Not interruptible: half a message would spoil the connection.
  boost::asio::awaitable<ChannelOutcome> write(std::span<const std::byte> bytes, async::Limit each);
  /// Says that nothing more will come, and gives the peer that long to take what is under way.
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
