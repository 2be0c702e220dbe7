// A listening TCP socket from "HOST:PORT".
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::http {

/// Binds and listens. An empty host is every address, IPv6 and IPv4 alike where the kernel has
/// IPv6; port 0 lets the kernel choose (ask local_endpoint()). Resolves names, so it may block:
/// call it at start-up. Accepted sockets do not block.
Result<boost::asio::ip::tcp::acceptor> listen(boost::asio::any_io_executor executor,
                                              const net::HostPort& address);

}  // namespace sidetap::http
