// For awaiting an Asio operation that is expected to fail at times.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sidetap::async {

/// The operation returns its error code as the first element of a tuple instead of throwing.
inline constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace sidetap::async
