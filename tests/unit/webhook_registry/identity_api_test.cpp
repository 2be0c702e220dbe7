// Who may ask the registry for identities, what is answered, and how streams go on.
#include "webhook/registry/identity_api.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "shared/async/task_group.h"
#include "shared/http/listener.h"
#include "tests/unit/webhook_registry/server_fixture.h"

namespace sidetap::webhook::registry {
namespace {

using testing::AllOf;
using testing::Not;

class IdentityApiServer : public RegistryServer {
 protected:
  static std::string request(const std::string& path, const std::string& token,
                             const std::string& method = "GET") {
    return method + " " + path + " HTTP/1.1\r\nHost: x\r\n" +
           (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") + "\r\n";
  }
  std::string get(const std::string& path, const std::string& token = "reader") {
    return ask(request(path, token));
  }
  std::unique_ptr<TlsClient> stream(const std::string& query = "") {
    auto client = std::make_unique<TlsClient>(port_);
    client->send(request("/v1/identities/stream" + query, "reader"));
    return client;
  }
  /// Of shop/web-1, at 127.0.0.1.
  std::unique_ptr<Tap> forwarding_tap() {
    auto one = tap({ip("127.0.0.1")}, "good");
    one->forward(true);
    EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
    return one;
  }
  void end(std::unique_ptr<Tap> one) {
    one->end();
    EXPECT_TRUE(shows("sidetap_registry_addresses 0"));
  }
  /// The last position in what a stream has sent.
  static std::string position_in(const std::string& text) {
    const std::string key = "\"position\":\"";
    const auto begin = text.rfind(key) + key.size();
    return text.substr(begin, text.find('"', begin) - begin);
  }
};

TEST_F(IdentityApiServer, NobodyIsToldAnythingWithoutAToken) {
  serve_with_tokens();
  for (const char* path : {"/v1/taps", "/v1/taps/shop/web-1", "/v1/identities",
                           "/v1/identities?address=10.0.0.1", "/v1/identities/stream"}) {
    EXPECT_THAT(get(path, ""),
                AllOf(StartsWith("HTTP/1.1 401 "), HasSubstr("WWW-Authenticate: Bearer")));
    EXPECT_THAT(get(path, "a b"), StartsWith("HTTP/1.1 401 "));
  }
  EXPECT_EQ(api_requests_, 0);
}

TEST_F(IdentityApiServer, ATokenMustBeOneForTheApiServerItself) {
  serve_with_tokens();
  EXPECT_THAT(get("/v1/taps", "bad"), StartsWith("HTTP/1.1 401 "));
  // That of a tap.
  EXPECT_THAT(get("/v1/taps", "good"), StartsWith("HTTP/1.1 401 "));
  const std::lock_guard lock(mutex_);
  EXPECT_TRUE(access_asked_for_.empty());
}

TEST_F(IdentityApiServer, WhoMayNotAskIsToldSoAndNoMore) {
  serve_with_tokens();
  EXPECT_THAT(get("/v1/taps", "stranger"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(get("/v1/identities?address=nonsense", "stranger"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(get("/v1/taps", "reader"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(IdentityApiServer, WhatTheApiServerDoesNotSayIsNotGuessed) {
  serve_with_tokens();
  EXPECT_THAT(get("/v1/taps", "down"), StartsWith("HTTP/1.1 503 "));
  access_fails_ = true;
  EXPECT_THAT(get("/v1/taps", "reader"), StartsWith("HTTP/1.1 503 "));
  access_fails_ = false;
  EXPECT_THAT(get("/v1/taps", "reader"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(IdentityApiServer, TheApiServerIsAskedOnceAboutATokenAndAPath) {
  serve_with_tokens();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(get("/v1/taps"), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(get("/v1/taps", "stranger"), StartsWith("HTTP/1.1 403 "));
    EXPECT_THAT(get("/v1/taps", "bad"), StartsWith("HTTP/1.1 401 "));
  }
  EXPECT_EQ(api_requests_, 5);
  EXPECT_THAT(get("/v1/identities"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(api_requests_, 6);
}

TEST_F(IdentityApiServer, TheApiServerJudgesTheWholeUserAndThePathAlone) {
  serve_with_tokens();
  EXPECT_THAT(get("/v1/identities?address=10.0.0.1"), StartsWith("HTTP/1.1 200 "));
  const std::lock_guard lock(mutex_);
  ASSERT_EQ(access_asked_for_.size(), 1U);
  EXPECT_EQ(access_asked_for_[0], nlohmann::json::parse(R"({"user":"reader","uid":"u-7",
      "groups":["g"],"extra":{"k":["v"]},
      "nonResourceAttributes":{"path":"/v1/identities","verb":"get"}})"));
}

TEST_F(IdentityApiServer, OnlyItsRoutesAndOnlyGet) {
  serve_with_tokens();
  EXPECT_THAT(get("/", "reader"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(get("/v1/taps/shop", "reader"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(get("/v1/taps?" + std::string(3'000, 'x')), StartsWith("HTTP/1.1 414 "));
  EXPECT_THAT(ask(request("/v1/taps", "reader", "DELETE")),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET\r\n")));
  const std::string head = ask(request("/v1/taps", "reader", "HEAD"));
  EXPECT_THAT(head, StartsWith("HTTP/1.1 405 "));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_EQ(api_requests_, 0);
}

TEST_F(IdentityApiServer, ItCanBeTurnedOff) {
  ServerConfig config;
  config.identity_api.enabled = false;
  serve_with_tokens(std::move(config));
  EXPECT_THAT(get("/v1/taps"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(IdentityApiServer, WithoutCoverageItIsSaidHowToTurnItOn) {
  serve_with_tokens();
  EXPECT_THAT(get("/v1/coverage"), AllOf(StartsWith("HTTP/1.1 404 "), HasSubstr("--coverage")));
}

TEST_F(IdentityApiServer, CoverageIsGuardedAsTheRestIs) {
  std::atomic<bool> known{false};
  ServerConfig config;
  config.identity_api.coverage = [&known] {
    return known ? std::string("{\"tapped\":7}\n") : std::string();
  };
  serve_with_tokens(std::move(config));
  EXPECT_THAT(get("/v1/coverage", ""), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(get("/v1/coverage", "stranger"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(get("/v1/coverage"), StartsWith("HTTP/1.1 503 "));
  known = true;
  EXPECT_THAT(get("/v1/coverage"), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("{\"tapped\":7}")));
  EXPECT_THAT(get("/v1/coverage?x=y"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(IdentityApiServer, ListsTapsAndFindsOne) {
  serve_with_tokens();
  EXPECT_THAT(get("/v1/taps"), HasSubstr(R"({"taps":[]})"));
  const auto one = forwarding_tap();
  for (const char* path : {"/v1/taps", "/v1/taps/shop/web-1"}) {
    EXPECT_THAT(get(path),
                AllOf(HasSubstr("Content-Type: application/json\r\n"),
                      HasSubstr(R"({"taps":[{"ip":["127.0.0.1"],"namespace":"shop","pod":"web-1")"),
                      HasSubstr(R"("uid":"u-1")"), HasSubstr(R"("forwarding":true,"rules":)"),
                      HasSubstr(R"("standing":"forwarding")")));
  }
  EXPECT_THAT(get("/v1/taps/shop/web-2"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(IdentityApiServer, ATapThatHasGoneIsListedForAWhile) {
  serve_with_tokens();
  end(forwarding_tap());
  for (const char* path : {"/v1/taps", "/v1/taps/shop/web-1"}) {
    EXPECT_THAT(get(path),
                AllOf(HasSubstr(R"({"taps":[{"ip":["127.0.0.1"],"namespace":"shop","pod":"web-1")"),
                      HasSubstr(R"(,"to":"2)"),
                      HasSubstr(R"("forwarding":null,"rules":null,"standing":"gone")")));
  }
}

TEST_F(IdentityApiServer, SaysWhatATapHasReported) {
  serve_with_tokens();
  const auto client = asking("good");
  EXPECT_THAT(client->read_answer(), StartsWith("HTTP/1.1 101 "));
  client->send(frame(R"({"type":"hello","version":1,"addresses":[],"forwarding":false})"));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
  EXPECT_THAT(get("/v1/taps"),
              HasSubstr(R"("standing":"no-sensor","profile":null,"generation":null,)"
                        R"("following":null,"release":null,"reported":null,"interfaces":null,)"
                        R"("sensors":null,"counts":null,"lost":null})"));
  std::string report = kReport;
  report.insert(report.size() - 1, R"(,"mesh":{"kind":"istio","read":9,"legs":8,"covered":5})");
  client->send(frame(report) +
               frame(R"({"type":"state","addresses":["127.0.0.1"],"forwarding":true})"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  EXPECT_THAT(
      get("/v1/taps/shop/web-1"),
      AllOf(HasSubstr(R"("standing":"forwarding","profile":"edge","generation":7,)"
                      R"("following":true,"release":"1.2.0","reported":"2)"),
            HasSubstr(R"("interfaces":[{"name":"eth0","capturing":true}],)"
                      R"("sensors":[{"sensor":"192.0.2.9:2003","state":"ready","reason":"busy"}],)"
                      R"("counts":{"seen":9,"seen_bytes":900,"owned":5,"owned_bytes":500,)"
                      R"("forwarded":4,"forwarded_bytes":440,"filtered":1},)"
                      R"("lost":{"kernel_ring":3},)"
                      R"("mesh":{"kind":"istio","read":9,"legs":8,"covered":5}})")));
}

TEST_F(IdentityApiServer, SaysWhoHoldsAnAddressAndWhenItIsNotSure) {
  serve_with_tokens();
  auto one = forwarding_tap();
  EXPECT_THAT(get("/v1/identities?address=127.0.0.1"),
              AllOf(HasSubstr(R"("state":"held","holder":{"ip":["127.0.0.1"])"),
                    HasSubstr(R"("pod":"web-1")"), HasSubstr(R"("last":null,"next":null})")));
  EXPECT_THAT(get("/v1/identities?address=127.0.0.1&at=2020-01-01T00:00:00Z"),
              AllOf(HasSubstr(R"("at":"2020-01-01T00:00:00.000Z","state":"uncertain")"),
                    HasSubstr(R"("holder":null,"last":null,"next":{)")));
  EXPECT_THAT(get("/v1/identities?address=10.9.9.9"), HasSubstr(R"("state":"unknown")"));
  end(std::move(one));
  EXPECT_THAT(get("/v1/identities?address=127.0.0.1"),
              AllOf(HasSubstr(R"("state":"uncertain","holder":null,"last":{)"),
                    Not(HasSubstr(R"("to":null)"))));
}

TEST_F(IdentityApiServer, AQuestionThatIsNoneGetsOneLine) {
  serve_with_tokens();
  EXPECT_THAT(get("/v1/identities?address=here"),
              AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("\r\n\r\naddress: ")));
  EXPECT_THAT(get("/v1/identities?address=10.0.0.1&at=2999-01-01T00:00:00Z"),
              AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("in the future")));
}

TEST_F(IdentityApiServer, ListsAllTenuresAsLines) {
  serve_with_tokens();
  const auto one = forwarding_tap();
  const std::string answer = get("/v1/identities");
  EXPECT_THAT(answer, AllOf(HasSubstr("Content-Type: application/x-ndjson\r\n"),
                            HasSubstr("Transfer-Encoding: chunked\r\n"),
                            HasSubstr(R"({"ip":["127.0.0.1"],"namespace":"shop")")));
  EXPECT_TRUE(answer.ends_with("0\r\n\r\n"));
}

TEST_F(IdentityApiServer, AStreamBeginsWithAllAndTellsChangesAsTheyCome) {
  serve_with_tokens();
  auto one = forwarding_tap();
  const auto client = stream();
  const std::string begin = client->read_until("\"position\"");
  EXPECT_THAT(begin, HasSubstr(R"({"ip":["127.0.0.1"],"namespace":"shop","pod":"web-1")"));
  EXPECT_TRUE(shows("sidetap_identities_open{kind=\"stream\"} 1"));
  EXPECT_TRUE(shows("sidetap_identities_open{kind=\"list\"} 0"));
  end(std::move(one));
  EXPECT_THAT(client->read_until("\"to\":\""), HasSubstr(R"("ip":["127.0.0.1"])"));
}

TEST_F(IdentityApiServer, AStreamGoesOnWhereItWasLeft) {
  serve_with_tokens();
  auto one = forwarding_tap();
  std::string position;
  {
    const auto client = stream();
    position = position_in(client->read_until("\"}"));
  }
  EXPECT_TRUE(shows("sidetap_identities_open{kind=\"stream\"} 0"));
  end(std::move(one));
  const auto resumed = stream("?after=" + position);
  const std::string told = resumed->read_until("\"to\":\"");
  EXPECT_THAT(told, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr(R"("ip":["127.0.0.1"])"),
                          Not(HasSubstr(R"("to":null)"))));
}

TEST_F(IdentityApiServer, APositionThatIsNotKnownIsGone) {
  serve_with_tokens();
  EXPECT_THAT(get("/v1/identities/stream?after=1-1"), StartsWith("HTTP/1.1 410 "));
  EXPECT_THAT(get("/v1/identities/stream?after=here"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(IdentityApiServer, AStreamOutlivesTheTimeForAHandshakeAndShowsThatItLives) {
  ServerConfig config;
  config.handshake = milliseconds(300);
  config.identity_api.heartbeat = milliseconds(200);
  config.identity_api.pace = milliseconds(20);
  serve_with_tokens(std::move(config));
  const auto client = stream();
  for (int i = 0; i < 4; ++i)
    EXPECT_THAT(client->read_until("\"}\n"), HasSubstr("\"position\":\""));
}

TEST_F(IdentityApiServer, AStreamEndsInOrderSoThatTheRightIsCheckedAgain) {
  ServerConfig config;
  config.identity_api.stream = milliseconds(50);
  config.identity_api.pace = milliseconds(10);
  serve_with_tokens(std::move(config));
  EXPECT_TRUE(stream()->read_all().ends_with("0\r\n\r\n"));
}

TEST_F(IdentityApiServer, HoldsFewStreamsAtOnce) {
  ServerConfig config;
  config.identity_api.most_streams = 1;
  serve_with_tokens(std::move(config));
  const auto first = stream();
  first->read_until("\"position\"");
  EXPECT_THAT(stream()->read_all(), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(get("/v1/taps"), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(shows("sidetap_identities_answers_total{code=\"503\"} 1"));
}

TEST_F(IdentityApiServer, OpenStreamsDoNotHoldTheEndUp) {
  serve_with_tokens();
  const auto one = stream(), other = stream();
  EXPECT_TRUE(shows("sidetap_identities_open{kind=\"stream\"} 2"));
  EXPECT_TRUE(ends_soon());
}

/// The API alone, with a ledger of the test's own, for one connection.
class IdentityApiAlone : public IdentityApiServer {
 protected:
  void SetUp() override {
    IdentityApiServer::SetUp();
    serve_with_tokens();
  }
  ~IdentityApiAlone() override {
    if (thread_.joinable()) thread_.join();
  }
  /// Serves the next connection to port_, with so many pods in the ledger.
  void serve_one(std::uint32_t pods, IdentityApiConfig config) {
    for (std::uint32_t i = 1; i <= pods; ++i) {
      const std::string number = std::to_string(i);
      ledger_.update(i, {"shop", "web-" + number, "uid-" + number, "node"}, {host(i)},
                     identity::Time(std::chrono::hours(1)));
    }
    queue_.emplace(context_.get_executor(), *credentials_, ApiQueueConfig{}, metrics_);
    identity_api_.emplace(*queue_, ledger_, inventory_, config, metrics_);
    auto listening = http::listen(context_.get_executor(), {"127.0.0.1", 0});
    acceptor_.emplace(std::move(listening.value()));
    port_ = acceptor_->local_endpoint().port();
    tasks_.spawn("test", accept_one());
    thread_ = std::thread([this] { context_.run(); });
  }

 private:
  asio::awaitable<void> accept_one() {
    auto socket = co_await acceptor_->async_accept(asio::use_awaitable);
    const auto session =
        std::make_shared<Session>(tasks_, ConnectionId{1}, std::nullopt, std::move(socket),
                                  *tls_.current(), milliseconds(1'000));
    const bool greeted = co_await session->greet();
    if (greeted) co_await identity_api_->serve(session, [] {});
    session->cut();
    queue_->stop();
  }

  asio::io_context context_;
  async::TaskGroup tasks_{context_.get_executor(), nullptr};
  identity::Ledger ledger_{identity::LedgerConfig{}};
  inventory::Inventory inventory_;
  std::optional<ApiQueue> queue_;
  std::optional<IdentityApi> identity_api_;
  std::optional<asio::ip::tcp::acceptor> acceptor_;
  std::thread thread_;
};

TEST_F(IdentityApiAlone, ALongListComesWhole) {
  serve_one(1'000, {});
  const std::string answer = get("/v1/identities");
  EXPECT_THAT(answer, AllOf(HasSubstr("\"pod\":\"web-1\""), HasSubstr("\"pod\":\"web-1000\"")));
  EXPECT_TRUE(answer.ends_with("0\r\n\r\n"));
}

TEST_F(IdentityApiAlone, WhoDoesNotReadIsCut) {
  serve_one(100'000, {.list = milliseconds(500)});
  TlsClient client(port_);
  client.send(request("/v1/identities", "reader"));
  EXPECT_TRUE(shows("sidetap_identities_cut_total 1"));
  EXPECT_TRUE(shows("sidetap_identities_open{kind=\"list\"} 0"));
  EXPECT_FALSE(client.read_all().ends_with("0\r\n\r\n"));
}

}  // namespace
}  // namespace sidetap::webhook::registry
