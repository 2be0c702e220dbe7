// Resolves a host name to addresses.
#pragma once

#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "shared/async/interruption.h"
#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::async {

/// Returns at least one endpoint. Nothing is cached, and an address resolves to itself. Call it on
/// one strand. The system's look-up cannot be interrupted; after an interruption its answer is
/// discarded. Errors: the system's reason, no address, or "interrupted".
boost::asio::awaitable<Result<std::vector<boost::asio::ip::tcp::endpoint>>> resolve(
    boost::asio::any_io_executor executor, const net::HostPort& name, Interruption* interruption);

}  // namespace sidetap::async
