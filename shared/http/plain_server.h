// A small HTTP server without TLS, for what few clients ask now and then: GET and HEAD, one answer
// for each connection.
//
// Anyone who reaches the port may send requests, so everything is bounded: the size of requests,
// one answer and a few seconds per connection, and the number of connections. A connection over the
// limit ends the oldest one. A connection for which the process has no file descriptor left does
// the same after 50 ms; one descriptor is reserved for the first. A peer that hoards connections,
// here or at another port of the process, therefore cannot keep others out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::http {

/// A GET or a HEAD. The texts are valid until the handler has answered.
struct PlainRequest {
  std::string_view target;         ///< As sent, with its query.
  std::string_view host;           ///< The Host header; empty without one.
  std::string_view if_none_match;  ///< Likewise.

  /// The target without its query.
  std::string_view path() const { return target.substr(0, target.find('?')); }
};

/// The server adds Content-Length and Connection, and leaves out the body for a HEAD.
struct PlainAnswer {
  unsigned status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";  ///< Static storage.
  /// Further header lines, each with its "\r\n".
  std::string headers = "Cache-Control: no-store\r\n";
  std::shared_ptr<const std::string> body = {};  ///< Null: empty.
};

/// An answer of a status and a line of text.
PlainAnswer plain_text(unsigned status, std::string_view text);

/// Awaited on the server's executor. An exception ends the connection without an answer.
using PlainHandler = std::function<boost::asio::awaitable<PlainAnswer>(PlainRequest)>;

struct PlainLimits {
  std::size_t connections = 32;
  std::uint32_t header_bytes = 4096;
  std::chrono::milliseconds connection{5'000};  ///< From the accept to the end of the answer.
  /// Names of the tasks, as in async::TaskGroup.
  std::string_view accept_task = "plain-accept";
  std::string_view request_task = "plain-request";
};

/// Thread-safe. The destructor stops the server. The executor's context must outlive the server.
class PlainServer {
 public:
  /// `metrics` counts the server's tasks as in async::TaskGroup. It may be null, and must otherwise
  /// outlive the executor's context.
  PlainServer(boost::asio::any_io_executor executor, net::HostPort listen, PlainLimits limits,
              PlainHandler handler, telemetry::MetricsRegistry* metrics = nullptr);
  ~PlainServer();
  PlainServer(const PlainServer&) = delete;
  PlainServer& operator=(const PlainServer&) = delete;

  /// Listens. Returns the bound port (the kernel's choice for port 0).
  Result<std::uint16_t> start();
  /// Ends the listener and every connection the next time that the executor runs.
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::http
