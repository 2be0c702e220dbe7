// The addresses behind a name.
#pragma once

#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "shared/async/interruption.h"
#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::async {

/// At least one, asked for anew each time; of an address, itself. One strand. The system's look-up
/// itself cannot be interrupted: its answer is then not waited for. Errors: the system's reason, no
/// address, or "interrupted".
boost::asio::awaitable<Result<std::vector<boost::asio::ip::tcp::endpoint>>> resolve(
    boost::asio::any_io_executor executor, const net::HostPort& name, Interruption* interruption);

}  // namespace sidetap::async
