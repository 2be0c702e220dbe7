// The registry's server against the taps' own client, and against what is no tap.
#include "webhook/registry/server.h"

#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "shared/http/https_server.h"
#include "sidecar/registry/client.h"
#include "tests/support/tls_client.h"
#include "webhook/registry/authenticator.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
namespace tap = sidetap::registry;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;
using testing_support::TlsClient;
using Addresses = std::vector<net::IpAddress>;

net::IpAddress ip(std::string_view text) { return net::IpAddress::parse(text).value(); }

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
  bool sees(const Addresses& wanted, const std::optional<Addresses>& services = std::nullopt) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return peers_ == tap::Peers{wanted, services};
    });
  }
  bool counts(const std::string& line) {
    for (int i = 0; i < 1000; ++i) {
      if (metrics_.text().find(line) != std::string::npos) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
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
  /// With an API server that knows two tokens: "good" of a pod that has 10.0.0.9, and "user".
  void serve_with_tokens() {
    api_ = std::make_unique<http::HttpsServer>(
        net::HostPort{"127.0.0.1", 0}, 1, http::ServerLimits{}, tls_,
        [this](const http::HttpRequest& request) { return api_answer(request); });
    const std::uint16_t port = api_->start().value();
    credentials_ = kube::Credentials{{"127.0.0.1", port},
                                     folder_.write("ca.crt", ca_.certificate),
                                     folder_.write("me", "me"),
                                     "ns"};
    ServerConfig config;
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
      return answer(200, json::parse(R"({"metadata":{"uid":"u-1"},
          "status":{"podIPs":[{"ip":"127.0.0.1"},{"ip":"10.0.0.9"}]}})"));
    }
    if (request.target != "/apis/authentication.k8s.io/v1/tokenreviews") {
      return answer(404, json::object());
    }
    const json review = json::parse(request.body);
    const std::string token = review["spec"]["token"];
    if (token == "down") return answer(500, json::object());
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
    config.grace = milliseconds(300);
    config.resolve_interval = milliseconds(50);
    config.backoff = {milliseconds(10), milliseconds(50)};
    return std::make_unique<Tap>(std::move(config), addresses);
  }
  bool shows(const std::string& line) {
    for (int i = 0; i < 1000; ++i) {
      if (metrics_.text().find(line) != std::string::npos) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  std::string ask(const std::string& request) { return testing_support::ask_tls(port_, request); }
  static std::string upgrade(const std::string& more = "") {
    return "GET /v1/taps HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
           more + "\r\n";
  }

  milliseconds silence_{6'000};  // of taps
  /// A masked frame of at most 125 bytes of text, the mask being zeros.
  static std::string frame(const std::string& text) {
    return std::string("\x81") + static_cast<char>(0x80 | text.size()) + std::string(4, '\0') +
           text;
  }

  testing_support::KeyPair ca_ = testing_support::make_ca("CA");
  testing_support::KeyPair leaf_ = testing_support::make_leaf(ca_, {"IP:127.0.0.1"});
  testing_support::TemporaryFolder folder_;
  http::TlsStore tls_;
  telemetry::MetricsRegistry metrics_;
  std::atomic<int> api_requests_{0};
  std::atomic<int> pods_asked_for_{0};
  std::atomic<bool> may_get_pods_{true};
  std::atomic<bool> pod_fails_{false}, pod_hangs_{false};
  std::unique_ptr<http::HttpsServer> api_;
  std::optional<kube::Credentials> credentials_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

TEST_F(RegistryServer, TapsLearnOfEachOther) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  const auto b = tap({ip("10.0.0.2"), ip("fd00::2")});
  EXPECT_TRUE(a->sees({}));
  b->forward(true);
  EXPECT_TRUE(a->sees({ip("10.0.0.2"), ip("fd00::2")}));
  a->forward(true);
  EXPECT_TRUE(b->sees({ip("10.0.0.1")}));  // A tap is no peer of its own.
  const auto late = tap({ip("10.0.0.3")});
  EXPECT_TRUE(late->sees({ip("10.0.0.1"), ip("10.0.0.2"), ip("fd00::2")}));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"forwarding\"} 2"));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 3"));
}

TEST_F(RegistryServer, ATapLeavesByItsWordAndByItsEnd) {
  serve();
  const auto watcher = tap({ip("10.0.0.1")});
  const auto polite = tap({ip("10.0.0.2")});
  const auto abrupt = tap({ip("10.0.0.3")});
  polite->forward(true);
  abrupt->forward(true);
  EXPECT_TRUE(watcher->sees({ip("10.0.0.2"), ip("10.0.0.3")}));
  EXPECT_TRUE(polite->sees({ip("10.0.0.3")}));
  polite->leave();  // Returns when the registry lists it no more.
  EXPECT_TRUE(watcher->sees({ip("10.0.0.3")}));
  abrupt->end();
  EXPECT_TRUE(watcher->sees({}));
}

TEST_F(RegistryServer, AnAddressInNewHandsIsTheNewTaps) {
  serve();
  const auto watcher = tap({ip("10.0.0.1")});
  const auto old_one = tap({ip("10.0.0.2")});
  old_one->forward(true);
  EXPECT_TRUE(watcher->sees({ip("10.0.0.2")}));
  const auto new_one = tap({ip("10.0.0.2")});
  EXPECT_TRUE(watcher->sees({}));
  new_one->forward(true);
  EXPECT_TRUE(watcher->sees({ip("10.0.0.2")}));
}

TEST_F(RegistryServer, WhatAReplicaSaidEndsWithIt) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  const auto b = tap({ip("10.0.0.2")});
  b->forward(true);
  EXPECT_TRUE(a->sees({ip("10.0.0.2")}));
  server_->stop();
  EXPECT_TRUE(a->sees({}));  // Nobody vouches for anyone any more.
}

TEST_F(RegistryServer, TapsLearnOfServicesTogetherWithTheirBackends) {
  serve_with_services([](const http::HttpRequest& request) {
    const std::string_view target = request.target;
    std::string body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":
            {"name":"web","namespace":"shop"},"spec":{"clusterIPs":["10.96.0.1"]}}]})";
    if (target.find("endpointslices") != target.npos)
      body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"web-1",
              "namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},
              "addressType":"IPv4","endpoints":[{"addresses":["10.0.0.2"]}]}]})";
    // A watch that tells nothing.
    if (target.find("watch=1") != target.npos) body.clear();
    return http::HttpAnswer{200, "application/json", {}, body};
  });
  const auto client = tap({ip("10.0.0.1")});
  const auto backend = tap({ip("10.0.0.2")});
  EXPECT_TRUE(client->sees({}, Addresses{}));
  backend->forward(true);
  EXPECT_TRUE(client->sees({ip("10.0.0.2")}, Addresses{ip("10.96.0.1")}));
  EXPECT_TRUE(shows("sidetap_registry_services{backends=\"tapped\"} 1"));
  backend->forward(false);
  EXPECT_TRUE(client->sees({}, Addresses{}));
  EXPECT_TRUE(shows("sidetap_registry_services{backends=\"untapped\"} 1"));
}

TEST_F(RegistryServer, WhatIsNotKnownOfServicesIsAnEmptyList) {
  serve_with_services([](const http::HttpRequest&) {
    return http::HttpAnswer{500, "application/json", {}, "{}"};
  });
  const auto client = tap({ip("10.0.0.1")});
  EXPECT_TRUE(client->sees({}, Addresses{}));
  const auto backend = tap({ip("10.0.0.2")});
  backend->forward(true);
  EXPECT_TRUE(client->sees({ip("10.0.0.2")}, Addresses{}));
}

TEST_F(RegistryServer, TapsFollowTheAuthority) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  EXPECT_TRUE(a->sees({}));
  const auto next = testing_support::make_ca("next");
  server_->set_ca(ca_.certificate + next.certificate);
  const auto b = tap({ip("10.0.0.2")});
  b->forward(true);
  EXPECT_TRUE(a->sees({ip("10.0.0.2")}));  // By now it has heard of the authority, too.
  b->end();
  EXPECT_TRUE(a->sees({}));
  const auto leaf = testing_support::make_leaf(next, {"IP:127.0.0.1"});
  ASSERT_TRUE(tls_.replace({leaf.certificate, leaf.key}));
  // Its next connection is to a server that only the new authority has signed.
  const std::uint16_t port = port_;
  server_.reset();
  ServerConfig config;
  config.listen = {"127.0.0.1", port};
  telemetry::MetricsRegistry metrics;
  Server again(std::move(config), tls_, metrics);
  ASSERT_TRUE(again.start());
  a->forward(true);
  for (int i = 0; i < 1000; ++i) {
    if (metrics.text().find("sidetap_registry_addresses 1") != std::string::npos) return;
    std::this_thread::sleep_for(milliseconds(10));
  }
  FAIL() << metrics.text();
}

TEST_F(RegistryServer, ATokenProvesAPodAndItsAddresses) {
  serve_with_tokens();
  // One address by the connection, one by the pod's status, one by nothing.
  const auto liar = tap({ip("127.0.0.1"), ip("10.0.0.9"), ip("10.0.0.66")}, "good");
  liar->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 2"));
  EXPECT_TRUE(shows("sidetap_registry_unproven_addresses_total"));
}

TEST_F(RegistryServer, WithoutTheRightToGetPodsTheConnectionsAddressIsProof) {
  may_get_pods_ = false;
  serve_with_tokens();
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  a->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  const auto forger = tap({ip("10.0.0.66")}, "good");
  forger->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"addresses\"}"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
}

TEST_F(RegistryServer, WhoIsRefusedHearsWhyThoughNewsIsOnItsWay) {
  serve_with_tokens();
  // What the API server has said of the pod is known at once from then on.
  const auto owner = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  owner->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 2"));
  const std::string hello =
      R"({"type":"hello","version":1,"addresses":["10.0.0.66"],"forwarding":true})";
  for (int i = 0; i < 3; ++i) {
    TlsClient client(port_);
    client.send(upgrade("Authorization: Bearer good\r\n"));
    EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 101 "));
    client.send(frame(hello));
    EXPECT_THAT(client.read_all(), HasSubstr("none of the addresses"));
  }
}

TEST_F(RegistryServer, WhatTheConnectionProvesCountsWhileTheApiServerFails) {
  pod_fails_ = true;
  serve_with_tokens();
  const auto watcher = tap({}, "good");
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  a->forward(true);
  EXPECT_TRUE(watcher->sees({ip("127.0.0.1")}));
  pod_fails_ = false;
  EXPECT_TRUE(watcher->sees({ip("10.0.0.9"), ip("127.0.0.1")})) << "it is asked again";
}

TEST_F(RegistryServer, ThatATapForwardsNoMoreWaitsForNoProof) {
  pod_hangs_ = true;
  serve_with_tokens();
  const auto watcher = tap({}, "good");
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  a->forward(true);
  EXPECT_TRUE(watcher->sees({ip("127.0.0.1")}));
  a->forward(false);
  EXPECT_TRUE(watcher->sees({}));
  pod_hangs_ = false;
}

TEST_F(RegistryServer, AnAddressIsProvedOnceForAConnectionAndNotForATapThatIsIdle) {
  serve_with_tokens();
  const auto watcher = tap({}, "good");
  EXPECT_TRUE(watcher->sees({}));
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 2"));
  EXPECT_EQ(pods_asked_for_, 0);
  for (int i = 0; i < 3; ++i) {
    a->forward(true);
    EXPECT_TRUE(watcher->sees({ip("10.0.0.9"), ip("127.0.0.1")}));
    a->forward(false);
    EXPECT_TRUE(watcher->sees({}));
  }
  EXPECT_EQ(pods_asked_for_, 1);
}

TEST_F(RegistryServer, ATokenIsReviewedOnce) {
  serve_with_tokens();
  for (int i = 0; i < 3; ++i) {
    const auto a = tap({ip("127.0.0.1")}, "good");
    a->forward(true);
    EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
    a->end();
    EXPECT_TRUE(shows("sidetap_registry_addresses 0"));
  }
  EXPECT_EQ(api_requests_, 1);
}

TEST_F(RegistryServer, ATokenThatIsGoodForNothingIsNotRememberedForLong) {
  serve_with_tokens();
  asio::io_context context;
  Authenticator authenticator(context.get_executor(), *credentials_,
                              {.remember_refused = std::chrono::seconds(0)});
  for (const char* token : {"good", "good", "bad", "bad", "user", "user"}) {
    const auto ask = [&]() -> asio::awaitable<void> {
      EXPECT_TRUE(co_await authenticator.identify(token));
    };
    asio::co_spawn(context, ask(), asio::detached);
    context.run();
    context.restart();
  }
  EXPECT_EQ(api_requests_, 5);
}

TEST_F(RegistryServer, DeclinesWhoIsNoPod) {
  serve_with_tokens();
  EXPECT_THAT(ask(upgrade()), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask(upgrade("Authorization: Basic eDp5\r\n")), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask(upgrade("Authorization: Bearer bad\r\n")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask(upgrade("Authorization: Bearer user\r\n")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask(upgrade("Authorization: Bearer down\r\n")), StartsWith("HTTP/1.1 503 "));
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"token\"} 2"));
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
}

TEST_F(RegistryServer, DeclinesWhatIsNotItsProtocol) {
  serve();
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("GET /v1/taps HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(ask("\x01\x02\x03\r\n\r\n"), "");
  EXPECT_EQ(ask("GET /" + std::string(100'000, 'x')), "");
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
}

TEST_F(RegistryServer, EndsWhoSaysNoHello) {
  ServerConfig config;
  config.handshake = config.silence = milliseconds(200);
  serve(std::move(config));
  TlsClient silent(port_);
  EXPECT_EQ(silent.read_all(), "");
  TlsClient mute(port_);
  mute.send(upgrade());
  EXPECT_THAT(mute.read_answer(), StartsWith("HTTP/1.1 101 "));
  mute.read_all();  // It does not ping.
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
}

TEST_F(RegistryServer, ATapThatHasNothingToSayStaysConnected) {
  ServerConfig config;
  config.silence = silence_ = milliseconds(600);
  serve(std::move(config));
  const auto quiet = tap({ip("10.0.0.1")});
  quiet->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  std::this_thread::sleep_for(3 * silence_);
  EXPECT_FALSE(quiet->has_lost_a_connection());
}

TEST_F(RegistryServer, TheTimeForTheHandshakeCoversHello) {
  ServerConfig config;
  config.handshake = milliseconds(200);
  config.silence = std::chrono::hours(1);
  serve(std::move(config));
  TlsClient mute(port_);
  mute.send(upgrade());
  EXPECT_THAT(mute.read_answer(), StartsWith("HTTP/1.1 101 "));
  mute.read_all();
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
}

TEST_F(RegistryServer, HoldsFewConnectionsOfOneAddressThatHaveNotSaidHello) {
  ServerConfig config;
  config.most_strangers = 1;
  serve(std::move(config));
  const auto known = tap({ip("10.0.0.1")});
  EXPECT_TRUE(known->sees({}));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
  {
    TlsClient first(port_);
    EXPECT_THROW(TlsClient{port_}, std::runtime_error);
    EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"too-many-from-one-address\"} 1"));
  }
  EXPECT_TRUE(shows("sidetap_registry_connections 1"));
  TlsClient next(port_);
}

TEST_F(RegistryServer, RefusesWordsThatAreNone) {
  serve();
  for (const std::string& text : {std::string("nonsense"), std::string(R"({"type":"resync"})"),
                                  std::string(R"({"type":"hello","version":9})")}) {
    TlsClient client(port_);
    client.send(upgrade());
    EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 101 "));
    client.send(frame(text));
    EXPECT_THAT(client.read_all(), HasSubstr("\"type\":\"refused\""));
  }
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"protocol\"} 3"));
}

TEST_F(RegistryServer, HoldsNoMoreConnectionsThanAllowed) {
  ServerConfig config;
  config.most_connections = 2;
  serve(std::move(config));
  TlsClient first(port_);
  TlsClient second(port_);
  EXPECT_THROW(TlsClient{port_}, std::runtime_error);
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"too-many\"} 1"));
}

}  // namespace
}  // namespace sidetap::webhook::registry
