#include "sidecar/commands/check.h"

#include <charconv>
#include <chrono>
#include <iostream>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "shared/config/options.h"
#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap {
namespace {

constexpr auto kTimeout = std::chrono::seconds(2);
/// "HTTP/1.1 200 OK"
constexpr std::size_t kStatusAt = 9;
constexpr std::size_t kStatusDigits = 3;

/// The status of GET /readyz.
Result<unsigned> ask(const net::HostPort& at) {
  const std::string host = at.host.empty() || at.host == "0.0.0.0" ? "localhost" : at.host;
  boost::asio::ip::tcp::iostream stream;
  stream.expires_after(kTimeout);
  stream.connect(host, std::to_string(at.port));
  stream << "GET /readyz HTTP/1.1\r\nHost: " << host << "\r\nConnection: close\r\n\r\n"
         << std::flush;
  std::string line;
  if (!std::getline(stream, line)) return Error{stream.error().message()};
  unsigned status = 0;
  if (line.starts_with("HTTP/1.") && line.size() >= kStatusAt + kStatusDigits)
    std::from_chars(line.data() + kStatusAt, line.data() + kStatusAt + kStatusDigits, status);
  if (status == 0) return Error{"not an HTTP answer"};
  return status;
}

}  // namespace

int check_command(std::span<const char* const> arguments) {
  net::HostPort status;
  config::OptionSet options("sidetap-sidecar check", "Asks a running tap whether it is ready.");
  options.add<net::HostPort>({.flag = "--status-listen",
                              .env = "STATUS_LISTEN",
                              .value = "[HOST]:PORT",
                              .help = "address where the tap serves /readyz",
                              .required = true},
                             config::listen_address(), status);
  const auto parsed = options.parse(arguments, config::process_environment);
  if (parsed != config::ParseResult::kRun) return parsed == config::ParseResult::kHelp ? 0 : 2;
  const auto answer = ask(status);
  if (!answer) {
    std::cerr << "no answer at " << status.to_string() << ": " << answer.error().text << '\n';
    return 1;
  }
  std::cout << (*answer == 200 ? "ready" : "not ready") << '\n';
  return *answer == 200 ? 0 : 1;
}

}  // namespace sidetap
