#include "sidecar/check.h"

#include <chrono>
#include <iostream>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>

#include "shared/config/options.h"
#include "shared/net/host_port.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr auto kTimeout = std::chrono::seconds(2);

/// The status of GET /readyz; throws boost::system::system_error.
unsigned ask(const net::HostPort& at) {
  asio::io_context context;
  beast::tcp_stream stream(context);
  asio::ip::tcp::resolver resolver(context);
  const std::string host = at.host.empty() || at.host == "0.0.0.0" ? "localhost" : at.host;
  http::request<http::empty_body> request{http::verb::get, "/readyz", 11};
  request.set(http::field::host, host);
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  boost::system::error_code failure;
  const auto endpoints = resolver.resolve(host, std::to_string(at.port));
  stream.expires_after(kTimeout);
  // Asynchronous, since time-outs count for nothing else.
  stream.async_connect(endpoints, [&](boost::system::error_code error, const auto&) {
    if ((failure = error)) return;
    http::async_write(stream, request, [&](boost::system::error_code written, std::size_t) {
      if ((failure = written)) return;
      http::async_read(stream, buffer, response,
                       [&](boost::system::error_code read, std::size_t) { failure = read; });
    });
  });
  context.run();
  if (failure) throw boost::system::system_error(failure);
  return response.result_int();
}

}  // namespace

int check_command(std::span<const char* const> arguments) {
  net::HostPort status;
  config::OptionSet options("sidetap-sidecar check", "Asks a running tap whether it is ready.");
  options.add<net::HostPort>({.flag = "--status-listen",
                              .env = "STATUS_LISTEN",
                              .value = "[HOST]:PORT",
                              .help = "where the tap serves its health",
                              .required = true},
                             config::listen_address(), status);
  const auto parsed = options.parse(arguments, config::process_environment);
  if (parsed != config::ParseResult::kRun) return parsed == config::ParseResult::kHelp ? 0 : 2;
  try {
    const unsigned answer = ask(status);
    std::cout << (answer == 200 ? "ready" : "not ready") << '\n';
    return answer == 200 ? 0 : 1;
  } catch (const boost::system::system_error& error) {
    std::cerr << "no answer at " << status.to_string() << ": " << error.code().message() << '\n';
    return 1;
  }
}

}  // namespace sidetap
