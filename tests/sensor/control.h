// The control connection of a session. It reads messages as they arrive, whatever the session
// currently waits for.
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

  /// Starts to read.
  explicit Control(std::unique_ptr<Stream> stream);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  boost::asio::awaitable<void> send(rpcap::Bytes message);
  /// Returns true as soon as next() would not wait, or false at `until` or after wake(). One caller
  /// at a time.
  boost::asio::awaitable<bool> wait(Clock::time_point until);
  /// Returns the next message. Throws if there is none: the connection is lost, or the time is
  /// over.
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
