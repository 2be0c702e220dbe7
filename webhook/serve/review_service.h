// What the webhook answers over HTTP: routes, status codes, metrics and the request log around the
// decision about a review, which itself is made elsewhere.
//
//   POST /inject/namespace, /inject/pod   an AdmissionReview in, an AdmissionReview out
//   POST /inject/namespace/baseline, /inject/pod/baseline
//
// The path says which entry of the MutatingWebhookConfiguration calls, and how it was rendered:
// with
// "/baseline" it lets namespaces at that Pod Security level through. An API server may have the
// next configuration, or the one before, so the webhook goes by the path and not by its own.
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
#include "webhook/admission/answer.h"
#include "webhook/admission/reason.h"

namespace sidetap::webhook {

/// What the path of a request says.
struct Route {
  /// Which entry of the MutatingWebhookConfiguration calls.
  admission::Entry entry = admission::Entry::kPod;
  /// The namespace may enforce the Pod Security level "baseline": an injected pod must pass it.
  bool baseline = false;
  friend bool operator==(const Route&, const Route&) = default;
};

/// The decision about one review, with the configuration in force. Any thread.
using ReviewFunction = std::function<admission::Answer(std::string_view review, Route route)>;

/// The HttpHandler of the webhook. Any thread.
class ReviewService {
 public:
  /// `metrics` outlives it.
  ReviewService(ReviewFunction review, telemetry::MetricsRegistry& metrics);

  ~ReviewService();

  http::HttpAnswer operator()(const http::HttpRequest& request);

 private:
  http::HttpAnswer dispatch(const http::HttpRequest& request);
  http::HttpAnswer review(std::string_view body, Route route);

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
