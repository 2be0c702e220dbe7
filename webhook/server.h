// What the webhook answers over HTTP: routes, status codes, metrics and the request log around the
// decision about a review, which itself is made elsewhere.
//
//   POST /inject/namespace, /inject/pod   an AdmissionReview in, an AdmissionReview out
//
// 400 what is no review, 404 other paths, 405 other methods, 415 what is not JSON (413, 431 and 503
// come from the connection, which also logs every refusal).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

#include "shared/http/https_server.h"
#include "shared/telemetry/metrics.h"
#include "webhook/admission/reason.h"
#include "webhook/admit.h"

namespace sidetap::webhook {

/// The decision about one review, with the configuration in force. Any thread.
using ReviewFunction = std::function<Outcome(std::string_view review, admission::Rule called)>;

/// The HttpHandler of the webhook. Any thread.
class ReviewService {
 public:
  /// `metrics` outlives it.
  ReviewService(ReviewFunction review, telemetry::MetricsRegistry& metrics);

  ~ReviewService();

  http::HttpAnswer operator()(const http::HttpRequest& request);

 private:
  http::HttpAnswer route(const http::HttpRequest& request);
  http::HttpAnswer review(std::string_view body, admission::Rule called);

  ReviewFunction review_;
  telemetry::MetricsRegistry& metrics_;
  prometheus::Histogram& seconds_;
  prometheus::Histogram& patch_bytes_;
  /// By rule, decision and reason; a counter begins to be with its first review.
  class Reviews;
  std::unique_ptr<Reviews> reviews_;
  std::mutex mutex_;
  std::map<unsigned, prometheus::Counter*> errors_;  ///< By HTTP status.
};

/// Makes a server's counters and its certificate part of `metrics`. All outlive it.
void expose_server(telemetry::MetricsRegistry& metrics, const http::ServerCounters& counters,
                   const http::TlsStore& tls);

}  // namespace sidetap::webhook
