// Follows pods and namespaces through the API server, and keeps a summary of which pods have a tap.
//
// It has a thread of its own: to read the pods of a large cluster takes seconds. Of each pod that
// counts, a small record is kept. An API server that does not answer, or does not allow it, is
// logged and asked again after growing waits.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "shared/kube/credentials.h"
#include "shared/telemetry/metrics.h"
#include "webhook/coverage/label_selector.h"
#include "webhook/coverage/pod_facts.h"
#include "webhook/coverage/store.h"

namespace sidetap::webhook::coverage {

struct CoverageConfig {
  kube::Credentials credentials;
  /// Of the webhook's entries for namespaces, without what it says of the label that asks for
  /// injection.
  LabelSelector selector{};
  /// Called on the watch's thread.
  Judge judge{};
  /// Changes when `judge` may decide otherwise than before: then all pods are listed anew. Called
  /// on the watch's thread.
  std::function<std::uint64_t()> generation{};
  /// After this time without a working watch, nothing is known any more.
  std::chrono::milliseconds grace{60'000};
  std::chrono::milliseconds first_wait{500};  ///< The least of ReflectorConfig::wait.
  /// A summary is made at most this often.
  std::chrono::milliseconds pace{1'000};
};

class CoverageWatch {
 public:
  /// `metrics` must outlive this object.
  CoverageWatch(CoverageConfig config, telemetry::MetricsRegistry& metrics);
  ~CoverageWatch();
  CoverageWatch(const CoverageWatch&) = delete;
  CoverageWatch& operator=(const CoverageWatch&) = delete;

  /// Starts the thread. Once.
  void start();
  /// Ends the watches and the thread. The store keeps what it has.
  void stop();

  /// Never null.
  std::shared_ptr<const Store> store() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap::webhook::coverage
