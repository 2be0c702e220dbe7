// Serves the page: a browser's view of the registry's taps, read-only.
//
// It has no log-in. It is meant for a loopback address, which `kubectl port-forward` reaches, so
// that Kubernetes decides who may look. So that a foreign site cannot look through the browser of
// somebody who may, the server answers only requests for a loopback name or its own host (DNS
// rebinding), and allows no other origin to read or to frame it.
//
// GET / and the files beside it, and what page_json.h and status_text.h describe. An answer from
// the registry is made at most once a second, on the registry's thread, however many pages are
// open. Connections, requests and waits are bounded (plain_server.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "shared/net/host_port.h"
#include "shared/result.h"
#include "webhook/coverage/summary.h"
#include "webhook/registry/view.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::webhook::page {

struct PageConfig {
  net::HostPort listen;
  /// Runs a function on the registry's thread, later or never. Any thread. Must stay valid until
  /// stop() has returned.
  std::function<void(std::function<void(const registry::View&)>)> with_view;
  /// Any thread. Null, or returns null: coverage is not watched.
  std::function<std::shared_ptr<const coverage::Summary>()> coverage = {};
  std::chrono::milliseconds fresh{1'000};     ///< An answer is given again for so long.
  std::chrono::milliseconds patience{5'000};  ///< For the registry. Then the answer is 503.
};

/// Whether a request with this Host header may be answered by a server that listens on `listen`.
bool is_own_host(std::string_view host, const net::HostPort& listen);

class PageServer {
 public:
  /// `metrics` counts the server's tasks as in async::TaskGroup. It may be null, and must otherwise
  /// outlive the server.
  explicit PageServer(PageConfig config, telemetry::MetricsRegistry* metrics = nullptr);
  /// Stops.
  ~PageServer();
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;

  /// Listens and starts the thread. Returns the bound port.
  Result<std::uint16_t> start();
  /// Ends every connection and the thread.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap::webhook::page
