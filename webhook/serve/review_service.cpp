#include "webhook/serve/review_service.h"

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include "shared/telemetry/log.h"
#include "webhook/certificates/metrics.h"

namespace sidetap::webhook {
namespace {

using http::HttpAnswer;
using http::HttpRequest;
using telemetry::MetricSpec;
using telemetry::MetricType;

const MetricSpec kReviews{"sidetap_webhook_reviews_total", MetricType::kCounter,
                          "Admission reviews by the rule that called, decision and reason."};
const MetricSpec kSeconds{
    "sidetap_webhook_review_seconds",
    MetricType::kHistogram,
    "Time from a complete request to its answer.",
    {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1}};
const MetricSpec kPatchBytes{"sidetap_webhook_patch_bytes",
                             MetricType::kHistogram,
                             "Size of JSON Patches, before base64.",
                             {512, 1024, 2048, 4096, 8192, 16384, 65536}};
const MetricSpec kErrors{"sidetap_webhook_request_errors_total", MetricType::kCounter,
                         "Complete requests that were not reviews, by HTTP status."};
const MetricSpec kConnections{"sidetap_webhook_connections", MetricType::kGauge,
                              "Open connections."};
const MetricSpec kInFlight{"sidetap_webhook_requests_in_flight", MetricType::kGauge,
                           "Requests between their first byte and their answer."};
const MetricSpec kAccepted{"sidetap_webhook_connections_total", MetricType::kCounter,
                           "Connections accepted."};
const MetricSpec kRefused{"sidetap_webhook_connections_refused_total", MetricType::kCounter,
                          "Connections closed at once because too many were open."};
const MetricSpec kHandshakes{"sidetap_webhook_tls_handshake_failures_total", MetricType::kCounter,
                             "TLS handshakes that failed."};
const MetricSpec kTimeouts{
    "sidetap_webhook_timeouts_total", MetricType::kCounter,
    "Connections closed because a handshake, request, or answer was too slow."};
const MetricSpec kMalformed{"sidetap_webhook_malformed_requests_total", MetricType::kCounter,
                            "Requests that were cut off, too large, or not HTTP."};
const MetricSpec kOverloaded{
    "sidetap_webhook_requests_overloaded_total", MetricType::kCounter,
    "Requests refused because all requests in flight held too much memory."};
const MetricSpec kExpiry{"sidetap_webhook_certificate_expiry_timestamp_seconds", MetricType::kGauge,
                         "When the serving certificate expires, in seconds since 1970."};
const MetricSpec kReloads{"sidetap_webhook_certificate_reloads_total", MetricType::kCounter,
                          "Certificates loaded, including the first one."};
const MetricSpec kReloadFailures{"sidetap_webhook_certificate_reload_failures_total",
                                 MetricType::kCounter,
                                 "Certificates refused; the previous one stayed in use."};

HttpAnswer refuse(unsigned status, std::string text) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = std::move(text) + "\n";
  return answer;
}

/// The route of a request's path.
std::optional<Route> route_of(std::string_view path) {
  using admission::Entry;
  constexpr std::string_view kBaseline = "/baseline";
  constexpr std::string_view kInject = "/inject/";
  Route route;
  route.baseline = path.ends_with(kBaseline);
  if (route.baseline) path.remove_suffix(kBaseline.size());
  if (!path.starts_with(kInject)) return std::nullopt;
  path.remove_prefix(kInject.size());
  for (const Entry entry :
       {Entry::kNamespace, Entry::kPod, Entry::kEphemeral, Entry::kEphemeralDisabled}) {
    if (path != admission::entry_name(entry)) continue;
    route.entry = entry;
    return route;
  }
  return std::nullopt;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// "application/json", with or without parameters.
bool is_json(std::string_view type) {
  constexpr std::string_view kJson = "application/json";
  if (type.size() < kJson.size()) return false;
  for (std::size_t i = 0; i < kJson.size(); ++i) {
    if (lower(type[i]) != kJson[i]) return false;
  }
  type.remove_prefix(kJson.size());
  return type.empty() || type.front() == ';' || type.front() == ' ';
}

}  // namespace

class ReviewService::Reviews {
 public:
  explicit Reviews(telemetry::MetricsRegistry& metrics) : metrics_(metrics) {}

  void count(admission::Entry entry, admission::Action action, admission::Reason reason) {
    const std::size_t place = (static_cast<std::size_t>(entry) * admission::kActionCount +
                               static_cast<std::size_t>(action)) *
                                  admission::kReasonCount +
                              static_cast<std::size_t>(reason);
    prometheus::Counter* counter = counters_.at(place).load(std::memory_order_acquire);
    if (counter == nullptr) {
      counter = &metrics_.counter(kReviews, {{"rule", std::string(entry_name(entry))},
                                             {"decision", std::string(action_name(action))},
                                             {"reason", std::string(reason_name(reason))}});
      counters_.at(place).store(counter, std::memory_order_release);
    }
    counter->Increment();
  }

 private:
  telemetry::MetricsRegistry& metrics_;
  std::array<std::atomic<prometheus::Counter*>,
             admission::kEntryCount * admission::kActionCount * admission::kReasonCount>
      counters_{};
};

ReviewService::ReviewService(ReviewFunction review, telemetry::MetricsRegistry& metrics)
    : review_(std::move(review)),
      metrics_(metrics),
      seconds_(metrics.histogram(kSeconds)),
      patch_bytes_(metrics.histogram(kPatchBytes)),
      reviews_(std::make_unique<Reviews>(metrics)) {}

ReviewService::~ReviewService() = default;

HttpAnswer ReviewService::operator()(const HttpRequest& request) {
  HttpAnswer answer = dispatch(request);
  if (answer.status >= 400) {
    const std::lock_guard lock(mutex_);
    auto& counter = errors_[answer.status];
    if (counter == nullptr) {
      counter = &metrics_.counter(kErrors, {{"code", std::to_string(answer.status)}});
    }
    counter->Increment();
  }
  return answer;
}

HttpAnswer ReviewService::dispatch(const HttpRequest& request) {
  // API servers add "?timeout=3s".
  const auto route = route_of(request.target.substr(0, request.target.find('?')));
  if (!route) {
    return refuse(404,
                  "there are /inject/namespace, /inject/pod, /inject/ephemeral and "
                  "/inject/ephemeral-disabled, each also with /baseline");
  }
  if (request.method != boost::beast::http::verb::post) {
    HttpAnswer answer = refuse(405, "only POST");
    answer.allow = "POST";
    return answer;
  }
  if (!is_json(request.content_type)) return refuse(415, "Content-Type is not application/json");
  return review(request.body, *route);
}

HttpAnswer ReviewService::review(std::string_view body, Route route) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  admission::Answer answer = review_(body, route);
  const std::chrono::duration<double> taken = Clock::now() - start;
  reviews_->count(route.entry, answer.action, answer.reason);
  seconds_.Observe(taken.count());
  if (!answer.patch.empty()) patch_bytes_.Observe(static_cast<double>(answer.patch.size()));
  telemetry::log(answer.status == 200 ? telemetry::LogLevel::kInfo : telemetry::LogLevel::kWarn,
                 "review",
                 {{"uid", answer.uid},
                  {"rule", entry_name(route.entry)},
                  {"namespace", answer.namespace_name},
                  {"owner", answer.owner},
                  {"decision", action_name(answer.action)},
                  {"reason", reason_name(answer.reason)},
                  {"dry_run", answer.dry_run},
                  {"milliseconds", taken.count() * 1000}});
  return {answer.status, answer.content_type, {}, std::move(answer.body)};
}

void expose_server(telemetry::MetricsRegistry& metrics, const http::ServerCounters& counters,
                   const http::TlsStore& tls) {
  const auto number = [](const auto& value) {
    return [&value] { return static_cast<double>(value.load()); };
  };
  metrics.expose(kConnections, {}, number(counters.connections));
  metrics.expose(kInFlight, {}, number(counters.in_flight));
  metrics.expose(kAccepted, {}, number(counters.accepted));
  metrics.expose(kRefused, {}, number(counters.refused));
  metrics.expose(kHandshakes, {}, number(counters.handshake_failures));
  metrics.expose(kTimeouts, {}, number(counters.timeouts));
  metrics.expose(kMalformed, {}, number(counters.bad_requests));
  metrics.expose(kOverloaded, {}, number(counters.overloaded));
  metrics.expose(kExpiry, {}, [&tls] { return tls.expiry_seconds(); });
  metrics.expose(kReloads, {}, [&tls] { return static_cast<double>(tls.reloads()); });
  metrics.expose(kReloadFailures, {},
                 [&tls] { return static_cast<double>(tls.reload_failures()); });
  metrics.expose(certificates::kOutOfDatesMetric, {{"where", "served"}},
                 [&tls] { return static_cast<double>(tls.out_of_dates()); });
}

}  // namespace sidetap::webhook
