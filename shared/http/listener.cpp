#include "shared/http/listener.h"

#include <string>

#include <boost/asio/ip/v6_only.hpp>

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

ErrorCode open(tcp::acceptor& acceptor, const tcp::endpoint& endpoint, bool both_families) {
  ErrorCode code;
  acceptor.open(endpoint.protocol(), code);
  if (!code) acceptor.set_option(tcp::acceptor::reuse_address(true), code);
  if (!code && endpoint.protocol() == tcp::v6()) {
    acceptor.set_option(asio::ip::v6_only(!both_families), code);
  }
  if (!code) acceptor.bind(endpoint, code);
  if (!code) acceptor.listen(tcp::acceptor::max_listen_connections, code);
  if (code) {
    ErrorCode ignored;
    acceptor.close(ignored);
  }
  return code;
}

}  // namespace

Result<tcp::acceptor> listen(asio::any_io_executor executor, const net::HostPort& address) {
  tcp::acceptor acceptor(executor);
  ErrorCode code;
  if (address.host.empty()) {
    // A kernel without IPv6 refuses the first address.
    code = open(acceptor, {tcp::v6(), address.port}, true);
    if (code) code = open(acceptor, {tcp::v4(), address.port}, false);
  } else {
    tcp::resolver resolver(executor);
    const auto found =
        resolver.resolve(address.host, std::to_string(address.port),
                         tcp::resolver::passive | tcp::resolver::numeric_service, code);
    if (!code) {
      for (const auto& entry : found) {
        code = open(acceptor, entry.endpoint(), false);
        if (!code) break;
      }
    }
  }
  if (code) return Error{"cannot listen on " + address.to_string() + ": " + code.message()};
  return acceptor;
}

}  // namespace sidetap::http
