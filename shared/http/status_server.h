// Health and metrics of a program, over plain HTTP: GET /healthz, /readyz and /metrics.
//
// Anyone who reaches the port may ask, so it is bounded: small requests, one answer a connection, a
// few seconds a connection, and few connections. One too many ends the oldest. So does one
// for which the process has no file left, after 50 ms; a file is kept in reserve for the first. So
// a peer that hoards connections, here or at another port of the process, cannot keep the kubelet's
// probes out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::http {

/// Called on the server's executor; must not block.
struct StatusHandlers {
  std::function<bool()> ready;           ///< /readyz: 200 or 503. None: always 200.
  std::function<std::string()> metrics;  ///< /metrics, text format 0.0.4. None: 404.
  /// Awaited before `metrics` is called: collects what it shows. None: nothing to collect.
  std::function<boost::asio::awaitable<void>()> refresh;
};

/// /healthz answers 200 while the executor runs. Thread-safe. The destructor stops it; the
/// executor's context outlives the server.
class StatusServer {
 public:
  /// `metrics` may be null, else it outlives the executor's context: the server's tasks are counted
  /// there, as in async::TaskGroup.
  StatusServer(boost::asio::any_io_executor executor, net::HostPort listen, StatusHandlers handlers,
               telemetry::MetricsRegistry* metrics = nullptr);
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

  /// Listens; the bound port (the kernel's choice when 0 was asked for).
  Result<std::uint16_t> start();
  /// Ends the listener and every connection, as soon as the executor comes by.
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::http
