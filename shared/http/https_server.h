// An HTTPS server for short requests and answers: HTTP/1.1 with keep-alive. Every wait has a limit.
//
// Each thread has its own event loop and connections, so a request takes no locks. Connections are
// distributed round-robin. One timer per thread looks for connections whose time limit has expired;
// no timer is armed per request.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/beast/http/verb.hpp>

#include "shared/http/tls_context.h"
#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::http {

struct HttpRequest {
  boost::beast::http::verb method;
  std::string_view target;  ///< As sent, with its query.
  std::string_view content_type;
  std::string body;
};

struct HttpAnswer {
  unsigned status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";  ///< Static storage.
  std::string_view allow = {};                                  ///< For 405. Static storage.
  std::string body = {};
};

/// Called by several threads at once; must not block. An exception becomes a 500.
using HttpHandler = std::function<HttpAnswer(HttpRequest)>;

struct ServerLimits {
  std::size_t connections = 20'000;  ///< Further ones are closed at once.
  std::size_t body_bytes = 10u << 20;
  std::uint32_t header_bytes = 16u << 10;
  /// Memory of all requests in flight together, with the buffers of their connections. A request
  /// that would hold more than is left for the others is answered with 503. Must be above twice
  /// body_bytes, or the largest bodies never pass.
  std::size_t held_bytes = 64u << 20;
  std::chrono::milliseconds handshake{10'000};
  /// Between requests. API servers close idle connections after 90 s. This limit is longer, so that
  /// the server never closes a connection on which a request is on its way.
  std::chrono::milliseconds idle{150'000};
  std::chrono::milliseconds header{10'000};  ///< From a request's first byte to its header's end.
  std::chrono::milliseconds body{30'000};    ///< From the header's end to the request's end.
  /// Replaces `idle` after drain(). Long enough for a client that has just reused the connection;
  /// short enough that no request reaches a server that was replaced long ago.
  std::chrono::milliseconds drain_idle{2'000};
  std::chrono::milliseconds write{20'000};   ///< For the client to take an answer.
  std::chrono::milliseconds finish{10'000};  ///< For running requests, after stop().
  /// A thread whose timer has not run for this long counts as stuck.
  std::chrono::milliseconds stuck{10'000};
};

/// Counted since the start, except for the two gauges (`connections`, `in_flight`). Any thread may
/// read.
struct ServerCounters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};  ///< Over the limit of connections.
  std::atomic<std::uint64_t> handshake_failures{0};
  std::atomic<std::uint64_t> timeouts{0};  ///< Of any kind except between requests.
  std::atomic<std::uint64_t> bad_requests{0};
  std::atomic<std::uint64_t> overloaded{0};  ///< Refused for lack of memory to hold them.
  std::atomic<std::int64_t> connections{0};
  std::atomic<std::int64_t> in_flight{0};  ///< From a request's first byte to its answer.
};

class HttpsServer {
 public:
  /// `tls` must outlive the server and hold a context before start(). `metrics` counts the server's
  /// tasks as in async::TaskGroup; it may be null, and must otherwise outlive the server.
  HttpsServer(net::HostPort listen, unsigned threads, ServerLimits limits, const TlsStore& tls,
              HttpHandler handler, telemetry::MetricsRegistry* metrics = nullptr);
  /// Cuts all remaining connections.
  ~HttpsServer();
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  /// Listens and starts the threads. Returns the bound port.
  Result<std::uint16_t> start();
  /// From now on every answer says "Connection: close", and a connection ends after
  /// limits.drain_idle without a request. The server still accepts connections. Any thread.
  void drain();
  /// Drains, and stops accepting connections. Idle connections end, and running requests finish
  /// within limits.finish. Returns when all threads have ended. Do not call it from a handler.
  void stop();
  /// Whether every thread still runs. Any thread, after start().
  bool responsive() const;
  const ServerCounters& counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap::http
