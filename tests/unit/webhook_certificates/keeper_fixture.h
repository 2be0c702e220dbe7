// A keeper of certificates with an API server that fails as it is told.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/verb.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "shared/async/task_group.h"
#include "shared/http/https_server.h"
#include "shared/telemetry/metrics.h"
#include "tests/support/certificates.h"
#include "webhook/certificates/keeper.h"
#include "webhook/certificates/objects.h"

namespace sidetap::certificates {

namespace asio = boost::asio;
using boost::beast::http::verb;
using nlohmann::json;
using std::chrono::milliseconds;

inline constexpr const char* kSecret = "/api/v1/namespaces/ns/secrets/certs";
inline constexpr const char* kConfiguration =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidetap";

/// An API server that knows two objects, over the real wire, with faults on request.
class FakeApiServer {
 public:
  explicit FakeApiServer(const testing_support::KeyPair& leaf) {
    tls_.replace({leaf.certificate, leaf.key}).value();
    server_ = std::make_unique<http::HttpsServer>(
        net::HostPort{"127.0.0.1", 0}, 2, http::ServerLimits{}, tls_,
        [this](const http::HttpRequest& request) { return answer(request); });
    port_ = server_->start().value();
    put(kConfiguration, json::parse(R"({"metadata":{"name":"sidetap"},
        "webhooks":[{"name":"a","clientConfig":{}},{"name":"b","clientConfig":{}}]})"));
  }
  std::uint16_t port() const { return port_; }
  void stop() { server_->stop(); }

  std::optional<json> get(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(path);
    if (found == objects_.end()) return std::nullopt;
    return found->second;
  }
  void put(const std::string& path, json object) {
    const std::lock_guard lock(mutex_);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    objects_[path] = std::move(object);
  }
  void remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    objects_.erase(path);
  }
  /// The next requests get these statuses instead of an answer; 0: none in time.
  void fail(std::deque<unsigned> statuses) {
    const std::lock_guard lock(mutex_);
    faults_ = std::move(statuses);
  }
  /// Called once, before the next request that changes something: another replica's doing.
  void before_write(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    before_write_ = std::move(call);
  }
  /// Every request that changes something gets this status from now on; 0: an answer again.
  void refuse_writes(unsigned status) { refused_with_ = status; }
  /// The next request is answered with this text, as if all were well.
  void answer_with(std::string text) {
    const std::lock_guard lock(mutex_);
    odd_answer_ = std::move(text);
  }
  int writes() const { return writes_; }

 private:
  static http::HttpAnswer status(unsigned code) {
    return {code, "application/json", {}, R"({"kind":"Status","reason":"Made up"})"};
  }
  static http::HttpAnswer ok(unsigned code, const json& object) {
    return {code, "application/json", {}, object.dump()};
  }

  http::HttpAnswer answer(const http::HttpRequest& request) {
    const std::string path(request.target);
    std::function<void()> call;
    {
      const std::lock_guard lock(mutex_);
      if (!faults_.empty()) {
        const unsigned code = faults_.front();
        faults_.pop_front();
        if (code != 0) return status(code);
        std::this_thread::sleep_for(milliseconds(1000));
        return status(500);
      }
      if (!odd_answer_.empty()) {
        return {200, "application/json", {}, std::exchange(odd_answer_, {})};
      }
      if (request.method != verb::get) call = std::exchange(before_write_, nullptr);
    }
    if (call) call();
    const auto present = get(path);
    if (request.method == verb::get) return present ? ok(200, *present) : status(404);
    ++writes_;
    if (refused_with_ != 0) return status(refused_with_);
    if (request.method == verb::post) {
      json object = json::parse(request.body);
      const std::string own = path + "/" + object["metadata"]["name"].get<std::string>();
      if (get(own)) return status(409);
      put(own, object);
      return ok(201, *get(own));
    }
    if (!present) return status(404);
    if (request.method == verb::put) {
      json object = json::parse(request.body);
      if (object["metadata"]["resourceVersion"] != (*present)["metadata"]["resourceVersion"]) {
        return status(409);
      }
      put(path, object);
      return ok(200, *get(path));
    }
    try {
      put(path, present->patch(json::parse(request.body)));
    } catch (const json::exception&) {
      return status(422);
    }
    return ok(200, *get(path));
  }

  http::TlsStore tls_;
  mutable std::mutex mutex_;
  std::map<std::string, json> objects_;
  std::deque<unsigned> faults_;
  std::function<void()> before_write_;
  std::string odd_answer_;
  std::atomic<unsigned> refused_with_{0};
  int version_ = 0;
  std::atomic<int> writes_{0};
  std::unique_ptr<http::HttpsServer> server_;
  std::uint16_t port_ = 0;
};

class KeeperTest : public testing::Test {
 protected:
  /// One more replica. Its states go to served().
  std::unique_ptr<Keeper> replica(milliseconds timeout = milliseconds(5000)) {
    KeeperConfig config{"ns", "certs", {"hook", "registry"}, "sidetap"};
    config.period = milliseconds(5);
    config.backoff = {milliseconds(5), milliseconds(5)};
    config.collector_secret = collector_secret_;
    config.collector_services = {"collector"};
    return std::make_unique<Keeper>(
        kube::Client(context_.get_executor(),
                     {{"127.0.0.1", api_.port()}, ca_file_, token_file_, "ns"},
                     {timeout, 1u << 20}),
        config,
        [this](const State& state) {
          if (std::exchange(serve_throws_, false)) throw std::runtime_error("cannot serve it");
          served_.push_back(state);
        },
        [this] { return now_; });
  }
  Result<TimePoint> reconcile(Keeper& keeper) {
    std::optional<Result<TimePoint>> result;
    const auto look = [&]() -> asio::awaitable<void> {
      result.emplace(co_await keeper.reconcile());
    };
    async::run_to_end(context_, look());
    return *result;
  }
  State stored() const { return state_of_secret(api_.get(kSecret).value()); }
  /// caBundle of every entry, decoded by way of the patch that would make it so.
  bool bundle_is(const std::string& bundle) const {
    return bundle_patch(api_.get(kConfiguration).value(), bundle).is_null();
  }
  std::string metrics(const Keeper& keeper) const {
    telemetry::MetricsRegistry registry;
    keeper.expose(registry);
    return registry.text();
  }

  testing_support::KeyPair ca_ = testing_support::make_ca("API");
  testing_support::TemporaryFolder folder_;
  std::string ca_file_ = folder_.write("ca.crt", ca_.certificate);
  std::string token_file_ = folder_.write("token", "me");
  FakeApiServer api_{testing_support::make_leaf(ca_, {"IP:127.0.0.1"})};
  TimePoint now_ = Clock::now();
  std::vector<State> served_;
  bool serve_throws_ = false;
  std::string collector_secret_;  // empty: there are no collectors
  asio::io_context context_;
};

}  // namespace sidetap::certificates
