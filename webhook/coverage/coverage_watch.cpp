#include "webhook/coverage/coverage_watch.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "shared/async/task_group.h"
#include "shared/kube/reflector.h"
#include "shared/kube/standing.h"
#include "shared/telemetry/log.h"
#include "webhook/coverage/coverage_table.h"

namespace sidetap::webhook::coverage {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using telemetry::MetricSpec;
using telemetry::MetricType;

const MetricSpec kPods{"sidetap_coverage_pods", MetricType::kGauge,
                       "Running pods that are selected for a tap, by state: tapped, or why they "
                       "have none."};
const MetricSpec kKnown{"sidetap_coverage_current", MetricType::kGauge,
                        "1 while sidetap_coverage_pods is up to date with the API server."};
const MetricSpec kFailures{"sidetap_coverage_watch_failures_total", MetricType::kCounter,
                           "Lists and watches of pods and namespaces that failed, by resource."};

/// What one of the two watches is worth.
struct Followed {
  Followed(const char* the_name, const asio::any_io_executor& executor)
      : name(the_name), expiry(executor) {}
  const char* const name;  // as in paths, logs and metrics
  asio::steady_timer expiry;
  std::uint64_t turn = 0;  // of the list that counts
  kube::Standing standing;
};

}  // namespace

struct CoverageWatch::Impl {
  Impl(CoverageConfig given, telemetry::MetricsRegistry& registry)
      : config(std::move(given)), metrics(registry) {}

  const CoverageConfig config;
  telemetry::MetricsRegistry& metrics;
  const std::shared_ptr<Store> store = std::make_shared<Store>();
  asio::io_context context{1};
  std::thread thread;

  // The members below are for the thread only.
  Followed namespaces{"namespaces", context.get_executor()};
  Followed pods{"pods", context.get_executor()};
  CoverageTable table;
  asio::steady_timer timer{context};
  async::TaskGroup namespace_tasks{context.get_executor(), &metrics};
  std::optional<async::TaskGroup> pod_tasks;
  bool list_due = true;
  std::uint64_t judged_by = 0;         // the generation
  std::optional<std::uint64_t> shown;  // the changes that the summary has
  bool told_incomplete = false;
  bool stopping = false;

  void begin() {
    metrics.gauge(kKnown).Set(0);
    follow_namespaces();
    tick();
  }

  void follow_namespaces() {
    kube::ReflectorEvents events;
    events.list_begins = [this] { table.namespaces_begin(); };
    events.present = [this](const json& object) {
      auto facts = read_namespace(object, config.selector);
      if (facts && table.set(*std::move(facts))) list_due = true;
    };
    events.gone = [this](const json& object) {
      if (const auto facts = read_namespace(object, {})) table.remove_namespace(facts->name);
    };
    events.list_ended = [this] { table.namespaces_end(); };
    follow(namespace_tasks, namespaces, std::move(events));
  }

  /// Lists the pods anew. Only when the namespaces are known, so that pods which do not count are
  /// not looked at.
  void follow_pods() {
    list_due = false;
    judged_by = config.generation();
    if (pod_tasks) pod_tasks->cancel();
    pod_tasks.emplace(context.get_executor(), &metrics);
    // The previous watch may still deliver what it has read.
    const auto is_current = [this, mine = ++pods.turn] { return mine == pods.turn; };
    kube::ReflectorEvents events;
    events.list_begins = [this, is_current] {
      if (is_current()) table.pods_begin();
    };
    events.present = [this, is_current](const json& object) {
      if (is_current()) take_pod(object);
    };
    events.gone = [this, is_current](const json& object) {
      const auto name = name_of(object);
      if (name && is_current()) table.set(*name, std::nullopt);
    };
    events.list_ended = [this, is_current] {
      if (is_current()) table.pods_end();
    };
    follow(*pod_tasks, pods, std::move(events));
  }

  void take_pod(const json& object) {
    const auto name = name_of(object);
    if (name) table.set(*name, read_pod(object, table.selects(name->name_space), config.judge));
  }

  void follow(async::TaskGroup& tasks, Followed& resource, kube::ReflectorEvents events) {
    kube::ReflectorConfig wanted;
    wanted.wait.least = config.first_wait;
    wanted.path = "/api/v1/" + std::string(resource.name);
    // A watch that was cancelled for a new list ends with an error, which is no failure.
    const auto is_current = [&resource, mine = resource.turn] { return mine == resource.turn; };
    events.standing = [this, &resource, is_current] {
      if (is_current()) rise(resource);
    };
    events.fallen = [this, &resource, is_current](const std::string& reason) {
      if (is_current()) fall(resource, reason);
    };
    const auto reflector =
        std::make_shared<kube::Reflector>(kube::Client(context.get_executor(), config.credentials),
                                          std::move(wanted), std::move(events));
    tasks.supervise("coverage-watch", [reflector] { return reflector->run(); });
  }

  void rise(Followed& resource) {
    resource.expiry.cancel();
    if (resource.standing.rise())
      telemetry::info("watching the API server for coverage again", {{"resource", resource.name}});
  }

  void fall(Followed& resource, const std::string& reason) {
    if (stopping) return;
    metrics.counter(kFailures, {{"resource", resource.name}}).Increment();
    const auto fallen = resource.standing.fall();
    if (fallen.first) {
      telemetry::warn("coverage: cannot watch the API server; trying again",
                      {{"resource", resource.name}, {"reason", reason}});
    }
    if (!fallen.grace) return;
    resource.expiry.expires_after(config.grace);
    resource.expiry.async_wait(
        [&resource, grace = *fallen.grace](const boost::system::error_code& error) {
          if (!error) resource.standing.expire(grace);
        });
  }

  void tick() {
    if (namespaces.standing.current() && (list_due || config.generation() != judged_by))
      follow_pods();
    show();
    timer.expires_after(config.pace);
    timer.async_wait([this](const boost::system::error_code& error) {
      if (!error && !stopping) tick();  // it may have expired before it was cancelled
    });
  }

  void show() {
    if (!namespaces.standing.current() || !pods.standing.current()) {
      if (std::exchange(shown, std::nullopt)) {
        metrics.gauge(kKnown).Set(0);
        store->put(nullptr);
      }
      return;
    }
    if (shown == table.changes()) return;
    const bool first = !shown;
    shown = table.changes();
    const auto summary = std::make_shared<const Summary>(table.summary());
    if (first) metrics.gauge(kKnown).Set(1);
    metrics.gauge(kPods, {{"state", "tapped"}}).Set(static_cast<double>(summary->tapped));
    for (std::size_t i = 0; i < kCauseCount; ++i) {
      const auto state = name_of(static_cast<Cause>(i));
      metrics.gauge(kPods, {{"state", std::string(state)}})
          .Set(static_cast<double>(summary->by_cause.at(i)));
    }
    if (!summary->complete && !std::exchange(told_incomplete, true)) {
      telemetry::warn("coverage: there are more pods than the webhook looks at",
                      {{"most", CoverageTable::kMostPods}});
    }
    store->put(summary);
  }

  void end() {
    stopping = true;
    timer.cancel();
    namespaces.expiry.cancel();
    pods.expiry.cancel();
    namespace_tasks.cancel();
    if (pod_tasks) pod_tasks->cancel();
  }
};

CoverageWatch::CoverageWatch(CoverageConfig config, telemetry::MetricsRegistry& metrics)
    : impl_(std::make_unique<Impl>(std::move(config), metrics)) {}

CoverageWatch::~CoverageWatch() { stop(); }

void CoverageWatch::start() {
  asio::post(impl_->context, [impl = impl_.get()] { impl->begin(); });
  impl_->thread = std::thread([impl = impl_.get()] { impl->context.run(); });
}

void CoverageWatch::stop() {
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->context, [impl = impl_.get()] { impl->end(); });
  impl_->thread.join();
}

std::shared_ptr<const Store> CoverageWatch::store() const { return impl_->store; }

}  // namespace sidetap::webhook::coverage
