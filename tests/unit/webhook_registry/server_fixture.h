// A registry's server with taps and, if it uses an API server, one that knows a pod.
#pragma once

#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "shared/http/https_server.h"
#include "sidecar/registry/client.h"
#include "tests/support/addresses.h"
#include "tests/support/tls_client.h"
#include "webhook/registry/server.h"

namespace sidetap::webhook::registry {

namespace asio = boost::asio;
namespace tap = sidetap::registry;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;
using testing_support::TlsClient;
using Addresses = std::vector<net::IpAddress>;

/// Within ten seconds.
[[nodiscard]] inline bool comes_to_show(telemetry::MetricsRegistry& metrics,
                                        const std::string& line) {
  for (int i = 0; i < 1000; ++i) {
    if (metrics.text().find(line) != std::string::npos) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

/// A tap's client on a thread of its own.
class Tap {
 public:
  Tap(tap::ClientConfig config, Addresses addresses) : addresses_(std::move(addresses)) {
    tap::ClientCallbacks callbacks;
    callbacks.on_peers = [this](std::shared_ptr<const tap::Peers> peers) {
      const std::lock_guard lock(mutex_);
      peers_ = *peers;
      changed_.notify_all();
    };
    client_ = std::make_unique<tap::Client>(context_.get_executor(), std::move(config),
                                            std::move(callbacks), &metrics_);
    client_->set_own({addresses_, {}});
    client_->start().value();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Tap() { end(); }

  void end() {
    if (!thread_.joinable()) return;
    asio::co_spawn(context_, client_->stop(), asio::use_future).wait();
    guard_.reset();
    context_.stop();
    thread_.join();
  }
  void forward(bool forwarding) {
    asio::post(context_, [this, forwarding] {
      client_->set_own({addresses_, forwarding ? addresses_ : Addresses()});
    });
  }
  void leave() {
    asio::co_spawn(context_, client_->leave(milliseconds(10'000)), asio::use_future).wait();
  }
  [[nodiscard]] bool sees(const Addresses& wanted,
                          const std::optional<Addresses>& services = std::nullopt) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return peers_ && peers_->tapped == wanted && peers_->services == services;
    });
  }
  [[nodiscard]] bool counts(const std::string& line) { return comes_to_show(metrics_, line); }
  bool has_lost_a_connection() const {
    return metrics_.text().find("sidetap_registry_failures_total{kind=\"lost\"}") !=
           std::string::npos;
  }

 private:
  const Addresses addresses_;
  telemetry::MetricsRegistry metrics_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<tap::Peers> peers_;
  std::unique_ptr<tap::Client> client_;
  std::thread thread_;
};

class RegistryServer : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(tls_.replace({leaf_.certificate, leaf_.key})); }

  void serve(ServerConfig config = {}) {
    config.listen = {"127.0.0.1", 0};
    config.pace = milliseconds(20);
    config.gather = milliseconds(1);
    config.proof_wait = milliseconds(10);
    server_ = std::make_unique<Server>(std::move(config), tls_, metrics_);
    port_ = server_->start().value();
  }
  /// With an API server that knows two tokens: "good" of a pod that has 10.0.0.9, and "user". Also,
  /// for itself, "reader", who may get identities, and "stranger", who may not.
  void serve_with_tokens(ServerConfig config = {}) {
    api_ = std::make_unique<http::HttpsServer>(
        net::HostPort{"127.0.0.1", 0}, 1, http::ServerLimits{}, tls_,
        [this](const http::HttpRequest& request) { return api_answer(request); });
    const std::uint16_t port = api_->start().value();
    credentials_ = kube::Credentials{{"127.0.0.1", port},
                                     folder_.write("ca.crt", ca_.certificate),
                                     folder_.write("me", "me"),
                                     "ns"};
    config.credentials = credentials_;
    serve(std::move(config));
  }
  /// With an API server whose Services are watched.
  void serve_with_services(http::HttpHandler answer) {
    api_ = std::make_unique<http::HttpsServer>(net::HostPort{"127.0.0.1", 0}, 2,
                                               http::ServerLimits{}, tls_, std::move(answer));
    ServerConfig config;
    config.services = {.credentials = {{"127.0.0.1", api_->start().value()},
                                       folder_.write("ca.crt", ca_.certificate),
                                       folder_.write("me", "me"),
                                       "ns"}};
    serve(std::move(config));
  }
  http::HttpAnswer api_answer(const http::HttpRequest& request) {
    using nlohmann::json;
    ++api_requests_;
    const auto answer = [](unsigned status, const json& body) {
      return http::HttpAnswer{status, "application/json", {}, body.dump()};
    };
    if (request.target == "/api/v1/namespaces/shop/pods/web-1") {
      ++pods_asked_for_;
      while (pod_hangs_) std::this_thread::sleep_for(milliseconds(10));
      if (pod_fails_) return answer(500, json::object());
      if (!may_get_pods_) return answer(403, json::object());
      if (answers_without_status_ > 0 && answers_without_status_-- > 0)
        return answer(200, json::parse(R"({"metadata":{"uid":"u-1"},"status":{}})"));
      return answer(200, json::parse(R"({"metadata":{"uid":"u-1"},
          "status":{"podIPs":[{"ip":"127.0.0.1"},{"ip":"10.0.0.9"}]}})"));
    }
    if (request.target == "/apis/authorization.k8s.io/v1/subjectaccessreviews") {
      const std::lock_guard lock(mutex_);
      access_asked_for_.push_back(json::parse(request.body)["spec"]);
      if (access_fails_) return answer(403, json::object());
      return answer(201, access_asked_for_.back()["user"] == "reader"
                             ? json::parse(R"({"status":{"allowed":true}})")
                             : json::parse(R"({"status":{"allowed":false}})"));
    }
    if (request.target != "/apis/authentication.k8s.io/v1/tokenreviews") {
      return answer(404, json::object());
    }
    const json review = json::parse(request.body);
    const std::string token = review["spec"]["token"];
    {
      const std::lock_guard lock(mutex_);
      tokens_asked_for_.push_back(token);
    }
    while (token_hangs_) std::this_thread::sleep_for(milliseconds(10));
    if (token == "down") return answer(500, json::object());
    if (!review["spec"].contains("audiences")) {
      if (token != "reader" && token != "stranger")
        return answer(201, json::parse(R"({"status":{"authenticated":false}})"));
      json user = json::parse(R"({"uid":"u-7","groups":["g"],"extra":{"k":["v"]}})");
      user["username"] = token;
      json status = json::parse(R"({"authenticated":true})");
      status["user"] = user;
      json reviewed = json::object();
      reviewed["status"] = status;
      return answer(201, reviewed);
    }
    if (token == "good") {
      return answer(201, json::parse(R"({"status":{"authenticated":true,"audiences":["sidetap"],
          "user":{"username":"system:serviceaccount:shop:default",
            "extra":{"authentication.kubernetes.io/pod-name":["web-1"],
                     "authentication.kubernetes.io/pod-uid":["u-1"]}}}})"));
    }
    if (token == "user") {
      return answer(201, json::parse(R"({"status":{"authenticated":true,"audiences":["sidetap"],
          "user":{"username":"alice"}}})"));
    }
    return answer(201,
                  json::parse(R"({"status":{"authenticated":false,"audiences":["sidetap"]}})"));
  }
  std::unique_ptr<Tap> tap(const Addresses& addresses, const std::string& token = "") {
    tap::ClientConfig config;
    config.registry = {"127.0.0.1", port_};
    config.ca = ca_.certificate;
    if (!token.empty()) config.token_file = folder_.write("token-" + token, token);
    config.settling = config.linger = milliseconds(10);
    config.silence = silence_;
    config.ends_last = ends_last_;
    config.grace = milliseconds(300);
    config.resolve_interval = milliseconds(50);
    config.backoff = {milliseconds(10), milliseconds(50)};
    return std::make_unique<Tap>(std::move(config), addresses);
  }
  [[nodiscard]] bool shows(const std::string& line) { return comes_to_show(metrics_, line); }
  std::string ask(const std::string& request) { return testing_support::ask_tls(port_, request); }
  static std::string upgrade(const std::string& more = "") {
    return "GET /v1/taps HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
           more + "\r\n";
  }
  static std::string upgrade_with(const std::string& token) {
    return upgrade("Authorization: Bearer " + token + "\r\n");
  }
  std::unique_ptr<TlsClient> asking(const std::string& token) {
    auto client = std::make_unique<TlsClient>(port_);
    client->send(upgrade_with(token));
    return client;
  }
  /// Within three seconds, even if the API server is silent for longer.
  [[nodiscard]] bool ends_soon() {
    return std::async(std::launch::async, [this] {
             server_->stop();
           }).wait_for(std::chrono::seconds(3)) == std::future_status::ready;
  }

  /// As it stands in a message.
  static std::string wire_text(const std::string& text) {
    const std::string quoted = nlohmann::json(text).dump();
    return quoted.substr(1, quoted.size() - 2);
  }
  static constexpr const char* kHello =
      R"({"type":"hello","version":1,"addresses":["10.0.0.1"],"forwarding":false})";

  milliseconds silence_{6'000};  // of taps
  bool ends_last_ = false;       // likewise
  /// A masked frame of less than 64 KiB of text, the mask being zeros.
  static std::string frame(const std::string& text) {
    std::string head = "\x81";
    if (text.size() < 126) {
      head += static_cast<char>(0x80 | text.size());
    } else {
      head += static_cast<char>(0x80 | 126);
      head += static_cast<char>(text.size() >> 8);
      head += static_cast<char>(text.size() & 0xff);
    }
    return head + std::string(4, '\0') + text;
  }
  static constexpr const char* kReport =
      R"({"type":"report","release":"1.2.0","profile":"edge","generation":7,"following":true,)"
      R"("interfaces":[{"name":"eth0","capturing":true}],)"
      R"("sensors":[{"sensor":"192.0.2.9:2003","state":"ready","reason":"busy"}],)"
      R"("counts":{"seen":9,"seen_bytes":900,"owned":5,"owned_bytes":500,"forwarded":4,)"
      R"("forwarded_bytes":440,"filtered":1},"lost":{"kernel_ring":3}})";

  testing_support::KeyPair ca_ = testing_support::make_ca("CA");
  testing_support::KeyPair leaf_ = testing_support::make_leaf(ca_, {"IP:127.0.0.1"});
  testing_support::TemporaryFolder folder_;
  http::TlsStore tls_;
  telemetry::MetricsRegistry metrics_;
  std::mutex mutex_;
  std::vector<std::string> tokens_asked_for_;
  std::vector<nlohmann::json> access_asked_for_;
  std::atomic<bool> access_fails_{false};
  std::atomic<int> api_requests_{0};
  std::atomic<int> pods_asked_for_{0};
  std::atomic<bool> may_get_pods_{true};
  std::atomic<int> answers_without_status_{0};
  std::atomic<bool> pod_fails_{false}, pod_hangs_{false}, token_hangs_{false};
  std::unique_ptr<http::HttpsServer> api_;
  std::optional<kube::Credentials> credentials_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

}  // namespace sidetap::webhook::registry
