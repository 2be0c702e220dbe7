#include "sidecar/session/channel.h"

#include <array>
#include <cerrno>

#include <openssl/err.h>
#include <sys/socket.h>

#include "sidecar/session/sockets.h"
#include "sidecar/session/tls.h"

namespace sidetap::session {
namespace {

namespace asio = boost::asio;

bool would_block(int number) { return number == EAGAIN || number == EINTR; }

ChannelStatus status_of(async::Wait wait) {
  return wait == async::Wait::kTimedOut ? ChannelStatus::kTimedOut : ChannelStatus::kInterrupted;
}

}  // namespace

Channel::Step Channel::tls_step(int result, std::size_t moved) {
  if (result == 1) return {.moved = moved};
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {.again = true, .direction = async::AsyncFd::kRead};
    case SSL_ERROR_WANT_WRITE:
      return {.again = true, .direction = async::AsyncFd::kWrite};
    case SSL_ERROR_ZERO_RETURN:
      return {.closed = true};
    default:
      return {.failure = tls_reason()};
  }
}

Channel::Step Channel::read_some(std::span<std::byte> bytes) {
  if (tls_) {
    ERR_clear_error();
    std::size_t moved = 0;
    const int result = SSL_read_ex(tls_.get(), bytes.data(), bytes.size(), &moved);
    return tls_step(result, moved);
  }
  const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got > 0) return {.moved = static_cast<std::size_t>(got)};
  if (got == 0) return {.closed = true};
  if (would_block(errno)) return {.again = true, .direction = async::AsyncFd::kRead};
  return {.failure = system_error("read", errno).text};
}

Channel::Step Channel::write_some(std::span<const std::byte> bytes) {
  if (tls_) {
    ERR_clear_error();
    std::size_t moved = 0;
    const int result = SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &moved);
    return tls_step(result, moved);
  }
  const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return {.moved = static_cast<std::size_t>(sent)};
  if (would_block(errno)) return {.again = true, .direction = async::AsyncFd::kWrite};
  return {.failure = system_error("write", errno).text};
}

asio::awaitable<ChannelOutcome> Channel::read(std::span<std::byte> bytes, async::Limit first,
                                              async::Limit each,
                                              async::Interruption* interruption) {
  ChannelOutcome outcome;
  while (outcome.moved < bytes.size()) {
    // Checked before reading too: a peer that never pauses must not delay an interruption.
    if (interruption != nullptr && interruption->requested()) {
      outcome.status = ChannelStatus::kInterrupted;
      break;
    }
    const Step step = read_some(bytes.subspan(outcome.moved));
    outcome.moved += step.moved;
    if (step.closed) outcome.status = ChannelStatus::kClosed;
    if (!step.failure.empty()) {
      outcome.status = ChannelStatus::kFailed;
      outcome.text = step.failure;
    }
    if (outcome.status != ChannelStatus::kDone) break;
    if (!step.again) continue;
    const async::Wait wait =
        co_await fd_.wait(step.direction, outcome.moved == 0 ? first : each, interruption);
    if (wait != async::Wait::kReady) {
      outcome.status = status_of(wait);
      break;
    }
  }
  co_return outcome;
}

asio::awaitable<ChannelOutcome> Channel::write(std::span<const std::byte> bytes,
                                               async::Limit each) {
  ChannelOutcome outcome;
  while (outcome.moved < bytes.size()) {
    const Step step = write_some(bytes.subspan(outcome.moved));
    outcome.moved += step.moved;
    if (step.closed) outcome.status = ChannelStatus::kClosed;
    if (!step.failure.empty()) {
      outcome.status = ChannelStatus::kFailed;
      outcome.text = step.failure;
    }
    if (outcome.status != ChannelStatus::kDone) break;
    if (!step.again) continue;
    const async::Wait wait = co_await fd_.wait(step.direction, each, nullptr);
    if (wait != async::Wait::kReady) {
      outcome.status = status_of(wait);
      break;
    }
  }
  co_return outcome;
}

asio::awaitable<void> Channel::close(std::chrono::milliseconds linger) {
  if (tls_) SSL_shutdown(tls_.get());
  ERR_clear_error();
  ::shutdown(fd_.get(), SHUT_WR);
  // Unread bytes turn close() into a reset, which may overtake the last sent bytes.
  std::array<std::byte, 4096> rest{};
  const auto deadline = std::chrono::steady_clock::now() + linger;
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), rest.data(), rest.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && !would_block(errno))) break;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    if (got < 0 && co_await fd_.wait(async::AsyncFd::kRead, left, nullptr) != async::Wait::kReady)
      break;
  }
}

}  // namespace sidetap::session
