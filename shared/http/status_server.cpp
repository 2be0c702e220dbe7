#include "shared/http/status_server.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "shared/telemetry/metrics.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;

asio::awaitable<PlainAnswer> status_answer(std::shared_ptr<const StatusHandlers> handlers,
                                           PlainRequest request) {
  const std::string_view path = request.path();
  if (path == "/healthz") {
    const std::string fault = handlers->fault ? handlers->fault() : std::string();
    co_return fault.empty() ? plain_text(200, "ok") : plain_text(503, fault);
  }
  if (path == "/readyz") {
    const bool ready = !handlers->ready || handlers->ready();
    co_return ready ? plain_text(200, "ok") : plain_text(503, "not ready");
  }
  if (path == "/metrics" && handlers->refresh) co_await handlers->refresh();
  if (path == "/metrics" && handlers->metrics) {
    PlainAnswer answer;
    answer.content_type = telemetry::kMetricsContentType;
    answer.body = std::make_shared<const std::string>(handlers->metrics());
    co_return answer;
  }
  co_return plain_text(404, "there are /healthz, /readyz and /metrics");
}

PlainHandler status_handler(StatusHandlers handlers) {
  return [shared = std::make_shared<const StatusHandlers>(std::move(handlers))](
             PlainRequest request) { return status_answer(shared, request); };
}

constexpr PlainLimits kStatusLimits{.accept_task = "status-accept",
                                    .request_task = "status-request"};

}  // namespace

StatusServer::StatusServer(asio::any_io_executor executor, net::HostPort listen,
                           StatusHandlers handlers, telemetry::MetricsRegistry* metrics)
    : server_(std::move(executor), std::move(listen), kStatusLimits,
              status_handler(std::move(handlers)), metrics) {}

}  // namespace sidetap::http
