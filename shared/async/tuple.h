// How a coroutine awaits an operation of Asio whose failure it expects.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sidetap::async {

/// The operation's error code is the first part of a tuple instead of an exception.
inline constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace sidetap::async
