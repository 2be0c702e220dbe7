// What the webhook answers over HTTP: routes, status codes, metrics and the request log around the
// decision about a review, which itself is made elsewhere.
//
//   POST /inject/namespace, /inject/pod   an AdmissionReview in, an AdmissionReview out
//
// 400 what is no review, 404 other paths, 405 other methods (413 and 431 come from the connection),
// 415 what is not JSON.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>

#include "shared/http/https_server.h"
#include "shared/telemetry/metrics.h"

namespace sidetap::webhook {

/// Which entry of the webhook configuration called.
enum class Entry { kNamespace, kPod };

/// What became of a review, as far as the answer, the log and the metrics need to know.
struct ReviewResult {
  bool understood = true;  ///< False: no AdmissionReview; `body` says why, for a person.
  std::string body;        ///< The AdmissionReview of the answer, JSON.
  std::string decision;    ///< "injected", "skipped", ...: from a small set.
  std::string reason;      ///< Why, from a small set.
  std::string uid = {};
  std::string pod_namespace = {};
  std::string pod = {};  ///< Name, or generateName of a pod that a controller makes.
  std::size_t patch_bytes = 0;
};

/// Any thread; pure but for what it captures.
using ReviewFunction = std::function<ReviewResult(Entry, const std::string& body)>;

/// The HttpHandler of the webhook. Any thread.
class ReviewService {
 public:
  /// `metrics` outlives it.
  ReviewService(ReviewFunction review, telemetry::MetricsRegistry& metrics);

  http::HttpAnswer operator()(http::HttpRequest request);

 private:
  http::HttpAnswer route(http::HttpRequest request);
  http::HttpAnswer review(Entry entry, const std::string& body);
  void count(Entry entry, const ReviewResult& result);

  using Key = std::tuple<Entry, std::string, std::string>;

  ReviewFunction review_;
  telemetry::MetricsRegistry& metrics_;
  prometheus::Histogram& seconds_;
  prometheus::Histogram& patch_bytes_;
  std::mutex mutex_;
  std::map<Key, prometheus::Counter*> reviews_;
  std::map<unsigned, prometheus::Counter*> errors_;
};

/// Makes a server's counters and its certificate part of `metrics`. All outlive it.
void expose_server(telemetry::MetricsRegistry& metrics, const http::ServerCounters& counters,
                   const http::TlsStore& tls);

}  // namespace sidetap::webhook
