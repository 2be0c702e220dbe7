// The webhook's HTTP interface: routes, status codes, metrics and the request log. The decision
// about a review is made elsewhere.
//
//   POST /inject/namespace, /inject/pod   an AdmissionReview in, an AdmissionReview out
//   POST /inject/ephemeral, /inject/ephemeral-disabled   the same for a container that is added to
//                                                        a pod that runs
//   each of them also with /baseline
//
// The path says which entry of the MutatingWebhookConfiguration calls, and how the entry was
// rendered: with "/baseline", it includes namespaces at that Pod Security level. An API server may
// have a newer or older configuration than the webhook, so the path decides.
//
// Errors: 400 for a body that is not a review, 404 for other paths, 405 for other methods, 415 for
// other media types than JSON. 413, 431 and 503 come from the connection, which also logs every
// refusal.
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

/// The meaning of a request's path.
struct Route {
  /// Which entry of the MutatingWebhookConfiguration calls.
  admission::Entry entry = admission::Entry::kPod;
  /// The namespace may enforce the Pod Security level "baseline": an injected pod must pass it.
  bool baseline = false;
  friend bool operator==(const Route&, const Route&) = default;
};

/// Decides about one review with the current configuration. Safe from any thread.
using ReviewFunction = std::function<admission::Answer(std::string_view review, Route route)>;

/// The HttpHandler of the webhook. Safe from any thread.
class ReviewService {
 public:
  /// `metrics` must outlive this object.
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
  /// Counters by rule, decision and reason. A counter is created with its first review.
  class Reviews;
  std::unique_ptr<Reviews> reviews_;
  std::mutex mutex_;
  std::map<unsigned, prometheus::Counter*> errors_;  ///< By HTTP status.
};

/// Adds a server's counters and its certificate to `metrics`. All arguments must outlive the
/// scrapes.
void expose_server(telemetry::MetricsRegistry& metrics, const http::ServerCounters& counters,
                   const http::TlsStore& tls);

}  // namespace sidetap::webhook
