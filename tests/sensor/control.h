// The control connection of a session: messages are taken in as they come, whatever the session
// waits for at the moment.
#pragma once

#include <chrono>
#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "tests/sensor/stream.h"

namespace sidetap::sensor {

class Control {
 public:
  using Clock = std::chrono::steady_clock;

  /// Begins to read.
  explicit Control(std::unique_ptr<Stream> stream);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  boost::asio::awaitable<void> send(rpcap::Bytes message);
  /// True as soon as next() would not wait, false at `until` or after wake(). One waits at a time.
  boost::asio::awaitable<bool> wait(Clock::time_point until);
  /// The next message. Throws why there is none: the connection is lost, or the time is over.
  boost::asio::awaitable<Message> next(Clock::time_point until);
  void wake();

  boost::asio::ip::tcp::endpoint local() const;
  boost::asio::ip::tcp::endpoint remote() const;

 private:
  struct State;
  static boost::asio::awaitable<void> read(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace sidetap::sensor
