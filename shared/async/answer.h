// Lets a coroutine wait for a callback from another part of the program.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/interruption.h"

namespace sidetap::async {

/// Signals that something has happened. Use it on one strand: the callback is called there, once,
/// and one coroutine waits. The callback and the wait may outlive this object, and the callback may
/// outlive the wait.
class Arrival {
 public:
  explicit Arrival(boost::asio::any_io_executor executor);

  /// Hand it to whoever reports the event. It may be called at once or later.
  std::function<void()> callback() const;
  /// Returns once the callback has been called. Throws when the coroutine's task is cancelled.
  boost::asio::awaitable<void> wait() const;
  /// The same, but waits at most `limit`.
  boost::asio::awaitable<void> wait(std::chrono::milliseconds limit) const;

 private:
  boost::asio::any_io_executor executor_;
  std::shared_ptr<Interruption> here_ = std::make_shared<Interruption>();
};

/// Like Arrival, but the callback passes a value.
template <typename T>
class Answer {
 public:
  explicit Answer(const boost::asio::any_io_executor& executor) : arrival_(executor) {}

  std::function<void(T)> callback() const {
    return [value = value_, arrived = arrival_.callback()](T brought) {
      value->emplace(std::move(brought));
      arrived();
    };
  }
  /// Call it once.
  boost::asio::awaitable<T> wait() const {
    const auto value = value_;
    co_await arrival_.wait();
    co_return std::move(**value);
  }

 private:
  Arrival arrival_;
  std::shared_ptr<std::optional<T>> value_ = std::make_shared<std::optional<T>>();
};

}  // namespace sidetap::async
