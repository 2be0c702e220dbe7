#include "shared/kube/access.h"
#include "shared/kube/client.h"

#include <deque>
#include <mutex>
#include <sstream>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_peer.h"

namespace sidetap::kube {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;
using testing_support::TlsPeer;

std::string answer(const std::string& status, const std::string& body,
                   const std::string& more = "") {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + more + "\r\n" + body;
}

constexpr std::string_view kCut = "<cut>";

/// Plays an API server byte for byte as the test scripts it, with one string per answer. An empty
/// string cuts the connection, and so does kCut at the end of a string. Serves one connection after
/// another on its own thread.
class FakeApiServer {
 public:
  FakeApiServer(const testing_support::KeyPair& leaf, std::deque<std::string> answers)
      : answers_(std::move(answers)), server_(leaf, [this](TlsPeer& peer) {
          while (answer_one(peer)) {
          }
        }) {}

  std::uint16_t port() const { return server_.port(); }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() const { return server_.connections(); }

 private:
  bool answer_one(TlsPeer& peer) {
    const std::string request = peer.request();
    if (request.empty()) return false;
    std::string reply;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      if (answers_.empty()) return false;
      reply = answers_.front();
      answers_.pop_front();
    }
    const bool cut = reply.empty() || reply.ends_with(kCut);
    if (cut && !reply.empty()) reply.resize(reply.size() - kCut.size());
    const bool sent = reply.empty() || peer.send(reply);
    return sent && !cut;
  }

  mutable std::mutex mutex_;
  std::deque<std::string> answers_;
  std::vector<std::string> requests_;
  testing_support::TlsPeerServer server_;
};

class KubeClient : public testing::Test {
 protected:
  void serve(std::deque<std::string> answers, const std::string& name = "IP:127.0.0.1") {
    server_ = std::make_unique<FakeApiServer>(testing_support::make_leaf(ca_, {name}),
                                              std::move(answers));
    client_ = std::make_unique<Client>(
        context_.get_executor(),
        Credentials{{"127.0.0.1", server_->port()}, ca_file_, token_file_, "sidetap-system"},
        Limits{std::chrono::milliseconds(2000), 4096});
  }
  template <typename T>
  T run(asio::awaitable<T> task) {
    std::optional<T> result;
    const auto store = [&]() -> asio::awaitable<void> { result.emplace(co_await std::move(task)); };
    async::run_to_end(context_, store());
    return std::move(*result);
  }

  testing_support::KeyPair ca_ = testing_support::make_ca("test CA");
  testing_support::TemporaryFolder folder_;
  std::string ca_file_ = folder_.write("ca.crt", ca_.certificate);
  std::string token_file_ = folder_.write("token", "first\n");
  asio::io_context context_;
  std::unique_ptr<FakeApiServer> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(KubeClient, SendsTheTokenOfTheMomentOnOneConnection) {
  serve({answer("200 OK", R"({"kind":"Secret"})"), answer("200 OK", "{}")});
  const auto first = run(client_->get("/api/v1/namespaces/x/secrets/y"));
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_EQ(first->body["kind"], "Secret");
  folder_.write("token", "renewed");
  ASSERT_TRUE(run(client_->get("/healthz")));
  const auto requests = server_->requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_THAT(requests[0], HasSubstr("GET /api/v1/namespaces/x/secrets/y HTTP/1.1\r\n"));
  EXPECT_THAT(requests[0], HasSubstr("Authorization: Bearer first\r\n"));
  EXPECT_THAT(requests[1], HasSubstr("Authorization: Bearer renewed\r\n"));
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(KubeClient, ConflictForbiddenAndServerErrorsAreAnswersNotErrors) {
  serve({answer("409 Conflict", R"({"reason":"Conflict","message":"changed"})"),
         answer("403 Forbidden", "{}"), answer("503 Service Unavailable", "<html>")});
  const auto conflict = run(client_->replace("/x", {{"a", 1}}));
  ASSERT_TRUE(conflict);
  EXPECT_EQ(conflict->describe(), "409 Conflict: changed");
  EXPECT_EQ(run(client_->create("/x", {{"a", 1}}))->status, 403U);
  EXPECT_EQ(run(client_->get("/x"))->status, 503U);
  EXPECT_THAT(server_->requests()[0], HasSubstr(R"({"a":1})"));
}

TEST_F(KubeClient, PatchTypesHaveTheirMediaTypes) {
  serve({answer("200 OK", "{}"), answer("200 OK", "{}")});
  ASSERT_TRUE(run(client_->patch("/x", PatchType::kMerge, {{"a", nullptr}})));
  ASSERT_TRUE(run(client_->patch("/x", PatchType::kJson, nlohmann::json::array())));
  EXPECT_THAT(server_->requests()[0], HasSubstr("application/merge-patch+json"));
  EXPECT_THAT(server_->requests()[1], HasSubstr("application/json-patch+json"));
}

TEST_F(KubeClient, TextThatIsNoUtf8IsSentWithItsFaultsReplaced) {
  serve({answer("201 Created", "{}"), answer("200 OK", "{}"), answer("200 OK", "{}")});
  const nlohmann::json object = {{"a", "b\xff"}};
  ASSERT_TRUE(run(client_->create("/x", object)));
  ASSERT_TRUE(run(client_->replace("/x", object)));
  ASSERT_TRUE(run(client_->patch("/x", PatchType::kMerge, object)));
  for (const auto& request : server_->requests()) {
    EXPECT_THAT(request, HasSubstr("{\"a\":\"b\ufffd\"}"));
  }
}

TEST_F(KubeClient, DialsAgainWhenTheKeptConnectionWasClosed) {
  serve({answer("200 OK", "{}"), "", answer("200 OK", "{}")});
  ASSERT_TRUE(run(client_->get("/a")));
  ASSERT_TRUE(run(client_->get("/b")));
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(KubeClient, GarbageIsAnErrorAndTheNextRequestWorks) {
  serve({"garbage\r\n\r\n", answer("200 OK", "not json"), answer("200 OK", "{}")});
  EXPECT_FALSE(run(client_->get("/a")));
  EXPECT_THAT(run(client_->get("/a")).error().text, HasSubstr("not JSON"));
  EXPECT_TRUE(run(client_->get("/a")));
}

TEST_F(KubeClient, AnAnswerCutAnywhereIsAnErrorAndTheNextRequestWorks) {
  const std::string whole = answer("200 OK", R"({"kind":"Secret","data":{}})");
  std::deque<std::string> answers;
  for (std::size_t bytes = 1; bytes < whole.size(); ++bytes)
    answers.push_back(whole.substr(0, bytes) + std::string(kCut));
  answers.push_back(whole);
  serve(answers);
  for (std::size_t bytes = 1; bytes < whole.size(); ++bytes)
    ASSERT_FALSE(run(client_->get("/a"))) << "cut after " << bytes << " bytes";
  EXPECT_TRUE(run(client_->get("/a")));
}

TEST_F(KubeClient, ATokenThatIsNoneIsAnErrorAndTheNextRequestWorks) {
  serve({answer("200 OK", "{}")});
  // An HTTP library throws at header values over 64 KiB.
  for (const std::size_t size : {40'000, 70'000}) {
    folder_.write("token", std::string(size, 'x'));
    const auto result = run(client_->get("/a"));
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().text, HasSubstr(token_file_));
    EXPECT_THAT(result.error().text, HasSubstr(std::to_string(size) + " bytes"));
  }
  folder_.write("token", std::string(30'000, 'x'));
  EXPECT_TRUE(run(client_->get("/a")));
}

TEST_F(KubeClient, AnAnswerNestedWithoutEndIsAnError) {
  const std::string deep = std::string(129, '[') + std::string(129, ']');
  serve({answer("200 OK", deep), "HTTP/1.1 200 OK\r\nContent-Length: 259\r\n\r\n" + deep + "\n",
         answer("200 OK", deep.substr(1, 256))});
  EXPECT_THAT(run(client_->get("/a")).error().text, HasSubstr("nested deeper"));
  const auto watched = run(client_->watch(
      "/x", [](const nlohmann::json&) { return true; }, std::chrono::seconds(2)));
  ASSERT_FALSE(watched);
  EXPECT_THAT(watched.error().text, HasSubstr("nested deeper"));
  EXPECT_TRUE(run(client_->get("/a")));
}

TEST_F(KubeClient, WhatACallbackThrowsIsAnErrorAndTheNextRequestWorks) {
  const std::string event = R"({"type":"ADDED","object":{}})"
                            "\n";
  serve({"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(2 * event.size()) + "\r\n\r\n" +
             event + event,
         answer("200 OK", "{}")});
  const auto watched = run(client_->watch(
      "/x", [](const nlohmann::json&) -> bool { throw std::runtime_error("no room"); },
      std::chrono::seconds(2)));
  ASSERT_FALSE(watched);
  EXPECT_THAT(watched.error().text, HasSubstr("no room"));
  EXPECT_TRUE(run(client_->get("/a")));
}

TEST_F(KubeClient, AnswersOverTheLimitAreRefused) {
  serve({answer("200 OK", "\"" + std::string(5000, 'x') + "\"")});
  EXPECT_FALSE(run(client_->get("/a")));
}

TEST_F(KubeClient, ASilentServerTimesOut) {
  serve({"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"});
  const auto result = run(client_->get("/a"));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text, HasSubstr("read"));
}

TEST_F(KubeClient, AStoppedClientEndsWhatItAsksAndAsksNothingMore) {
  serve({answer("200 OK", "{}"), "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"});
  ASSERT_TRUE(run(client_->get("/a")));
  asio::steady_timer timer(context_, std::chrono::milliseconds(100));
  timer.async_wait([&](const boost::system::error_code&) { client_->stop(); });
  EXPECT_THAT(run(client_->get("/b")).error().text, HasSubstr("canceled"));
  EXPECT_THAT(run(client_->get("/c")).error().text, HasSubstr("canceled"));
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(KubeClient, RefusesACertificateForAnotherName) {
  serve({answer("200 OK", "{}")}, "DNS:elsewhere");
  const auto result = run(client_->get("/a"));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text, HasSubstr("TLS handshake"));
  EXPECT_TRUE(server_->requests().empty()) << "no token may leave before the server is verified";
}

TEST_F(KubeClient, WatchDeliversEventsThatArriveInPieces) {
  const std::string events = R"({"type":"ADDED","object":{"n":1}})"
                             "\n"
                             R"({"type":"DELETED","object":{"n":2}})"
                             "\n";
  const auto chunk = [](const std::string& text) {
    std::ostringstream out;
    out << std::hex << text.size() << "\r\n" << text << "\r\n";
    return out.str();
  };
  serve({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(events.substr(0, 40)) +
         chunk(events.substr(40)) + "0\r\n\r\n"});
  std::vector<int> seen;
  const auto result = run(client_->watch(
      "/api/v1/services?watch=1",
      [&](const nlohmann::json& event) {
        seen.push_back(event["object"]["n"].get<int>());
        return true;
      },
      std::chrono::seconds(2)));
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_THAT(seen, testing::ElementsAre(1, 2));
}

TEST_F(KubeClient, WatchThatIsRefusedReturnsTheStatus) {
  serve({answer("410 Gone", R"({"reason":"Expired"})")});
  const auto result = run(client_->watch(
      "/x", [](const nlohmann::json&) { return true; }, std::chrono::seconds(2)));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->describe(), "410 Expired");
}

TEST_F(KubeClient, TokenReviewTellsTheBoundPod) {
  serve({answer("201 Created", R"({"status":{"authenticated":true,"audiences":["sidetap"],
      "user":{"username":"system:serviceaccount:shop:web",
      "extra":{"authentication.kubernetes.io/pod-name":["web-0"],
               "authentication.kubernetes.io/pod-uid":["u1"],
               "authentication.kubernetes.io/node-name":["n1"]}}}})")});
  const auto identity = run(review_token(*client_, "t0ken", "sidetap"));
  ASSERT_TRUE(identity) << identity.error().text;
  EXPECT_TRUE(identity->authenticated);
  EXPECT_EQ(identity->user, "system:serviceaccount:shop:web");
  EXPECT_EQ(identity->name_space, "shop");
  EXPECT_EQ(identity->pod_name, "web-0");
  EXPECT_EQ(identity->pod_uid, "u1");
  EXPECT_EQ(identity->node_name, "n1");
}

TEST_F(KubeClient, TokenForAnotherAudienceProvesNothing) {
  serve(
      {answer("201 Created", R"({"status":{"authenticated":true,"audiences":["api"],"user":{}}})"),
       answer("201 Created", R"({"status":7})")});
  EXPECT_FALSE(run(review_token(*client_, "t", "sidetap"))->authenticated);
  EXPECT_FALSE(run(review_token(*client_, "t", "sidetap"))->authenticated);
}

}  // namespace
}  // namespace sidetap::kube
