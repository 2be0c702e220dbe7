#include "webhook/server.h"

#include <chrono>

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include "shared/telemetry/log.h"

namespace sidetap::webhook {
namespace {

using http::HttpAnswer;
using http::HttpRequest;
using telemetry::MetricSpec;
using telemetry::MetricType;

// Combinations beyond this are counted as "other", should a set ever prove not to be small.
constexpr std::size_t kMostCombinations = 200;

const MetricSpec kReviews{"sidetap_webhook_reviews_total", MetricType::kCounter,
                          "Admission reviews by the entry that called, decision and reason."};
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
                         "Complete requests that were no reviews, by HTTP status."};
const MetricSpec kConnections{"sidetap_webhook_connections", MetricType::kGauge,
                              "Open connections."};
const MetricSpec kInFlight{"sidetap_webhook_requests_in_flight", MetricType::kGauge,
                           "Requests between their first byte and their answer."};
const MetricSpec kAccepted{"sidetap_webhook_connections_total", MetricType::kCounter,
                           "Connections accepted."};
const MetricSpec kRefused{"sidetap_webhook_connections_refused_total", MetricType::kCounter,
                          "Connections closed at once, too many being open."};
const MetricSpec kHandshakes{"sidetap_webhook_tls_handshake_failures_total", MetricType::kCounter,
                             "TLS handshakes that failed."};
const MetricSpec kTimeouts{"sidetap_webhook_timeouts_total", MetricType::kCounter,
                           "Connections cut for being slow in a handshake, request or answer."};
const MetricSpec kMalformed{"sidetap_webhook_malformed_requests_total", MetricType::kCounter,
                            "Requests that were cut off, too large or no HTTP."};
const MetricSpec kExpiry{"sidetap_webhook_certificate_expiry_timestamp_seconds", MetricType::kGauge,
                         "When the serving certificate ends, in seconds since 1970."};
const MetricSpec kReloads{"sidetap_webhook_certificate_reloads_total", MetricType::kCounter,
                          "Certificates put in place, the first one included."};
const MetricSpec kReloadFailures{"sidetap_webhook_certificate_reload_failures_total",
                                 MetricType::kCounter,
                                 "Certificates refused; the one before stayed in place."};

const char* name_of(Entry entry) { return entry == Entry::kNamespace ? "namespace" : "pod"; }

HttpAnswer refuse(unsigned status, std::string text) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = std::move(text) + "\n";
  return answer;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// "application/json", with parameters or without.
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

ReviewService::ReviewService(ReviewFunction review, telemetry::MetricsRegistry& metrics)
    : review_(std::move(review)),
      metrics_(metrics),
      seconds_(metrics.histogram(kSeconds)),
      patch_bytes_(metrics.histogram(kPatchBytes)) {}

HttpAnswer ReviewService::operator()(HttpRequest request) {
  HttpAnswer answer = route(std::move(request));
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

HttpAnswer ReviewService::route(HttpRequest request) {
  // API servers add "?timeout=3s".
  const auto path = request.target.substr(0, request.target.find('?'));
  const bool of_namespace = path == "/inject/namespace";
  if (!of_namespace && path != "/inject/pod") {
    return refuse(404, "there are /inject/namespace and /inject/pod");
  }
  if (request.method != boost::beast::http::verb::post) {
    HttpAnswer answer = refuse(405, "only POST");
    answer.allow = "POST";
    return answer;
  }
  if (!is_json(request.content_type)) return refuse(415, "Content-Type is not application/json");
  return review(of_namespace ? Entry::kNamespace : Entry::kPod, request.body);
}

HttpAnswer ReviewService::review(Entry entry, const std::string& body) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  ReviewResult result = review_(entry, body);
  const std::chrono::duration<double> taken = Clock::now() - start;
  if (!result.understood) {
    telemetry::warn("no admission review", {{"entry", name_of(entry)}, {"reason", result.body}});
    return refuse(400, std::move(result.body));
  }
  count(entry, result);
  seconds_.Observe(taken.count());
  if (result.patch_bytes > 0) patch_bytes_.Observe(static_cast<double>(result.patch_bytes));
  telemetry::info("review", {{"uid", result.uid},
                             {"entry", name_of(entry)},
                             {"namespace", result.pod_namespace},
                             {"pod", result.pod},
                             {"decision", result.decision},
                             {"reason", result.reason},
                             {"milliseconds", taken.count() * 1000}});
  return {200, "application/json", {}, std::move(result.body)};
}

void ReviewService::count(Entry entry, const ReviewResult& result) {
  const std::lock_guard lock(mutex_);
  Key key{entry, result.decision, result.reason};
  auto found = reviews_.find(key);
  if (found == reviews_.end()) {
    if (reviews_.size() >= kMostCombinations) key = {entry, "other", "other"};
    auto& counter = metrics_.counter(
        kReviews,
        {{"entry", name_of(entry)}, {"decision", std::get<1>(key)}, {"reason", std::get<2>(key)}});
    found = reviews_.emplace(std::move(key), &counter).first;
  }
  found->second->Increment();
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
  metrics.expose(kExpiry, {}, [&tls] { return tls.expiry_seconds(); });
  metrics.expose(kReloads, {}, [&tls] { return static_cast<double>(tls.reloads()); });
  metrics.expose(kReloadFailures, {},
                 [&tls] { return static_cast<double>(tls.reload_failures()); });
}

}  // namespace sidetap::webhook
