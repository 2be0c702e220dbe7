// An HTTPS server for short questions and answers: HTTP/1.1 with keep-alive, every wait limited.
//
// Each thread has its own event loop and its own connections, so that nothing is locked on the way
// of a request. Connections go round the threads. One timer a thread looks for connections that
// have overstayed their limit; nothing is armed per request.
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
  std::string_view content_type = "text/plain; charset=utf-8";  ///< Of static storage.
  std::string_view allow = {};                                  ///< For 405, of static storage.
  std::string body = {};
};

/// Called by several threads at once; must not wait for anything. What it throws becomes a 500.
using HttpHandler = std::function<HttpAnswer(HttpRequest)>;

struct ServerLimits {
  std::size_t connections = 20'000;  ///< Further ones are closed at once.
  std::size_t body_bytes = 10u << 20;
  std::uint32_t header_bytes = 16u << 10;
  /// All requests under way together, with the buffers of their connections. One that wants more
  /// than is then left for the others is answered with 503; above twice body_bytes, or the largest
  /// bodies never pass.
  std::size_t held_bytes = 64u << 20;
  std::chrono::milliseconds handshake{10'000};
  /// Between requests. Above the 90 s after which an API server closes, so that it is never we who
  /// close a connection that a request is on its way on.
  std::chrono::milliseconds idle{150'000};
  std::chrono::milliseconds header{10'000};  ///< From a request's first byte to its header's end.
  std::chrono::milliseconds body{30'000};    ///< From there to its end.
  /// The same from drain() on. Long enough for a client that has taken it into use again; short, so
  /// that no question reaches a server that its successor has long replaced.
  std::chrono::milliseconds drain_idle{2'000};
  std::chrono::milliseconds write{20'000};   ///< For an answer to be taken.
  std::chrono::milliseconds finish{10'000};  ///< For what still runs, after stop().
  /// A thread that has not come by its timer for so long is stuck.
  std::chrono::milliseconds stuck{10'000};
};

/// Since the start, except the two gauges. Any thread reads.
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
  /// `tls` outlives the server and holds a context before start(), and so does `metrics`, which may
  /// be null: its tasks are counted there as in async::TaskGroup.
  HttpsServer(net::HostPort listen, unsigned threads, ServerLimits limits, const TlsStore& tls,
              HttpHandler handler, telemetry::MetricsRegistry* metrics = nullptr);
  /// Cuts whatever is left.
  ~HttpsServer();
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  /// Listens and starts the threads; the bound port.
  Result<std::uint16_t> start();
  /// From now on every answer says "Connection: close", and a connection that has been idle for
  /// limits.drain_idle ends, unless a request is arriving on it; still accepts. Any thread.
  void drain();
  /// drain(), and accepts no more: idle connections end, running requests finish, within
  /// limits.finish. Returns when all threads have ended. Not from a handler.
  void stop();
  /// Does every thread still run? Any thread, after start().
  bool responsive() const;
  const ServerCounters& counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap::http
