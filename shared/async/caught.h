// Exceptions of coroutines, turned into errors at the edge where they come from.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>

#include "shared/result.h"

namespace sidetap::async {

/// What an exception says, fit for the log. `fault` is not null.
std::string reason_of(const std::exception_ptr& fault);

/// Is it what Asio throws in a coroutine whose task is cancelled?
bool is_cancellation(const std::exception_ptr& fault);

/// `work`, with what it throws as an Error. The end by cancellation passes through: nobody shall
/// try again what was told to end.
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
