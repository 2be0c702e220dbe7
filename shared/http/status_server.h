// Serves a program's health and metrics over plain HTTP: GET /healthz, /readyz and /metrics.
// The kubelet's probes get through whoever hoards connections (plain_server.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/http/plain_server.h"
#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::http {

/// Called on the server's executor. Must not block.
struct StatusHandlers {
  /// /healthz: 503 with this line. Null, or an empty text: 200.
  std::function<std::string()> fault;
  std::function<bool()> ready;           ///< /readyz: 200 or 503. Null: always 200.
  std::function<std::string()> metrics;  ///< /metrics, text format 0.0.4. Null: 404.
  /// Awaited before `metrics` is called, to collect values. May be null.
  std::function<boost::asio::awaitable<void>()> refresh;
};

/// /healthz answers while the executor runs. Thread-safe. The destructor stops the server. The
/// executor's context must outlive the server.
class StatusServer {
 public:
  /// `metrics` counts the server's tasks as in async::TaskGroup. It may be null, and must otherwise
  /// outlive the executor's context.
  StatusServer(boost::asio::any_io_executor executor, net::HostPort listen, StatusHandlers handlers,
               telemetry::MetricsRegistry* metrics = nullptr);

  /// Listens. Returns the bound port (the kernel's choice for port 0).
  Result<std::uint16_t> start() { return server_.start(); }
  /// Ends the listener and every connection the next time that the executor runs.
  void stop() { server_.stop(); }

 private:
  PlainServer server_;
};

}  // namespace sidetap::http
