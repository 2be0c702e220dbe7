// Turns exceptions of coroutines into errors where they occur.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>

#include "shared/result.h"

namespace sidetap::async {

/// The text of an exception, for the log. `fault` must not be null.
std::string reason_of(const std::exception_ptr& fault);

/// Whether `fault` is what Asio throws in a coroutine whose task is cancelled.
bool is_cancellation(const std::exception_ptr& fault);

/// Awaits `work` and returns what it throws as an Error. A cancellation is rethrown, so that no
/// caller retries cancelled work.
template <typename T>
boost::asio::awaitable<Result<T>> caught(boost::asio::awaitable<Result<T>> work) {
  std::exception_ptr fault;
  try {
    co_return co_await std::move(work);
  } catch (...) {
    fault = std::current_exception();
  }
  if (is_cancellation(fault)) std::rethrow_exception(fault);
  co_return Error{reason_of(fault)};
}

}  // namespace sidetap::async
