#include "shared/http/https_server.h"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/support/tls_client.h"

namespace sidetap::http {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::ask_tls;
using testing_support::KeyPair;
using testing_support::make_ca;
using testing_support::make_leaf;
using testing_support::RawClient;
using testing_support::TlsClient;
using testing_support::TlsClientOptions;

std::string post(const std::string& body, const std::string& more = "") {
  return "POST /echo HTTP/1.1\r\nHost: x\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class HttpsServerTest : public testing::Test {
 protected:
  void serve(ServerLimits limits = {}, unsigned threads = 2) {
    ASSERT_TRUE(tls_.replace(material_));
    server_ = std::make_unique<HttpsServer>(
        net::HostPort{"127.0.0.1", 0}, threads, limits, tls_, [this](HttpRequest request) {
          if (request.target == "/throw") throw std::runtime_error("thrown");
          while (request.target == "/wait" && !release_) std::this_thread::yield();
          if (request.target == "/other") others_after_ = handled_.load();
          ++handled_;
          return HttpAnswer{200, "text/plain", {}, "got " + request.body};
        });
    port_ = server_->start().value();
  }
  void expect_closed_without_a_word(TlsClient& client) { EXPECT_EQ(client.read_all(), ""); }
  void expect_alive() {
    EXPECT_THAT(ask_tls(port_, post("alive", "Connection: close\r\n")), EndsWith("got alive"));
  }
  /// The counters follow what the client sees by a moment.
  template <typename Condition>
  void eventually(Condition condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) {
      std::this_thread::sleep_for(milliseconds(2));
    }
    EXPECT_TRUE(condition());
  }

  KeyPair ca_ = make_ca("test CA");
  KeyPair leaf_ = make_leaf(ca_, {"IP:127.0.0.1"});
  TlsMaterial material_{leaf_.certificate, leaf_.key};
  TlsStore tls_;
  std::atomic<bool> release_{false};
  std::atomic<int> handled_{0};
  std::atomic<int> others_after_{-1};  ///< Requests handled before that for /other.
  std::unique_ptr<HttpsServer> server_;
  std::uint16_t port_ = 0;
};

TEST_F(HttpsServerTest, AnswersManyRequestsOnOneConnection) {
  serve();
  TlsClient client(port_, {ca_.certificate});
  for (int i = 0; i < 100; ++i) {
    const std::string body(static_cast<std::size_t>(i * 997), 'x');
    ASSERT_TRUE(client.send(post(body)));
    const std::string answer = client.read_answer();
    EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("got " + body)));
    EXPECT_THAT(answer, Not(HasSubstr("Connection: close")));
  }
}

TEST_F(HttpsServerTest, AnswersRequestsThatCameTogether) {
  serve();
  TlsClient client(port_);
  client.send(post("one") + post("two") + post("three"));
  EXPECT_THAT(client.read_answer(), EndsWith("got one"));
  EXPECT_THAT(client.read_answer(), EndsWith("got two"));
  EXPECT_THAT(client.read_answer(), EndsWith("got three"));
}

TEST_F(HttpsServerTest, TakesARequestByteByByte) {
  serve();
  TlsClient client(port_);
  for (const char byte : post("slow")) client.send({&byte, 1});
  EXPECT_THAT(client.read_answer(), EndsWith("got slow"));
}

TEST_F(HttpsServerTest, PartOfARecordIsWaitedForWithoutHoldingTheThread) {
  serve({}, 1);
  TlsClient partial(port_);
  const std::string record = partial.sealed(post("late"));
  std::size_t sent = 0;
  for (const std::size_t end : {1u, 5u, 20u}) {
    partial.send_raw(record.substr(sent, end - sent));
    sent = end;
    expect_alive();
  }
  partial.send_raw(record.substr(sent));
  EXPECT_THAT(partial.read_answer(), EndsWith("got late"));
}

TEST_F(HttpsServerTest, PartOfARecordIsTheBeginningOfARequest) {
  ServerLimits limits;
  limits.header = milliseconds(100);
  serve(limits);
  TlsClient partial(port_);
  partial.send_raw(partial.sealed(post("never")).substr(0, 20));
  expect_closed_without_a_word(partial);
  EXPECT_EQ(server_->counters().timeouts, 1u);
}

TEST_F(HttpsServerTest, WhoSendsWithoutAPauseLetsOthersHaveTheirTurn) {
  serve({}, 1);
  TlsClient greedy(port_);
  TlsClient other(port_);
  const int requests = 300;
  std::string together = "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n";
  for (int i = 1; i < requests; ++i) together += "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_LT(together.size(), 16u << 10);
  greedy.send(together);
  eventually([&] { return server_->counters().in_flight == 1; });
  other.send("GET /other HTTP/1.1\r\nHost: x\r\n\r\n");
  release_ = true;
  EXPECT_THAT(other.read_answer(), EndsWith("got "));
  for (int i = 0; i < requests; ++i) greedy.read_answer();
  EXPECT_LT(others_after_, requests - 1);
}

TEST_F(HttpsServerTest, NoticesAThreadThatRunsNoMore) {
  ServerLimits limits;
  limits.header = limits.stuck = milliseconds(100);
  serve(limits, 2);
  EXPECT_TRUE(server_->responsive());
  TlsClient client(port_);
  client.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  eventually([&] { return !server_->responsive(); });
  release_ = true;
  eventually([&] { return server_->responsive(); });
}

TEST_F(HttpsServerTest, TheAnswerToHeadHasNoBody) {
  serve();
  TlsClient client(port_);
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + post("next", "Connection: close\r\n"));
  const std::string answers = client.read_all();
  EXPECT_THAT(answers, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answers, HasSubstr("Content-Length: 4\r\n\r\nHTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answers, EndsWith("got next"));
  EXPECT_THAT(ask_tls(port_, "HEAD / HTTP/1.1\r\n\r\n"), EndsWith("\r\n\r\n"));
}

TEST_F(HttpsServerTest, BodiesUnderWayHoldNoMoreMemoryThanAllowed) {
  ServerLimits limits;
  limits.held_bytes = 4u << 20;
  serve(limits);
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n";
  TlsClient first(port_);
  first.send(head + std::string(1'000'000, 'a'));
  TlsClient second(port_);
  second.send(head + std::string(1'999'999, 'b'));
  EXPECT_THAT(second.read_all(),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Connection: close\r\n")));
  EXPECT_EQ(server_->counters().overloaded, 1u);
  // Whoever asks for little is served still.
  expect_alive();
  first.send(std::string(1'000'000, 'a'));
  EXPECT_THAT(first.read_answer(), StartsWith("HTTP/1.1 200 "));
  // What was held is free again.
  TlsClient third(port_);
  third.send(post(std::string(1'900'000, 'c')));
  EXPECT_THAT(third.read_answer(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpsServerTest, TakesChunksAndLargeBodies) {
  serve();
  EXPECT_THAT(ask_tls(port_,
                      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                      "Connection: close\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"),
              EndsWith("got abcde"));
  TlsClient client(port_);
  const std::string large(5u << 20, 'l');
  ASSERT_TRUE(client.send(post(large)));
  EXPECT_TRUE(client.read_answer().ends_with("got " + large));
}

TEST_F(HttpsServerTest, SaysContinueToWhoWaitsForIt) {
  serve();
  TlsClient client(port_);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_answer(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hi");
  EXPECT_THAT(client.read_answer(), EndsWith("got hi"));
}

TEST_F(HttpsServerTest, ClosesWhenTheClientAsksForIt) {
  serve();
  EXPECT_THAT(ask_tls(port_, post("bye", "Connection: close\r\n")),
              AllOf(HasSubstr("Connection: close\r\n"), EndsWith("got bye")));
  EXPECT_THAT(ask_tls(port_, "GET / HTTP/1.0\r\n\r\n"), EndsWith("got "));
}

TEST_F(HttpsServerTest, WhatTheHandlerThrowsIsA500) {
  serve();
  TlsClient client(port_);
  client.send("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 500 "));
  client.send(post("next"));
  EXPECT_THAT(client.read_answer(), EndsWith("got next"));
}

TEST_F(HttpsServerTest, RefusesWhatIsTooLarge) {
  ServerLimits limits;
  limits.body_bytes = 1000;
  limits.header_bytes = 4096;
  serve(limits);
  EXPECT_THAT(ask_tls(port_, post(std::string(1001, 'x'))), StartsWith("HTTP/1.1 413 "));
  // Announced in pieces: the limit holds for their sum.
  std::string chunks = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) chunks += "40\r\n" + std::string(64, 'c') + "\r\n";
  EXPECT_THAT(ask_tls(port_, chunks), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask_tls(port_, post("", "X: " + std::string(5000, 'x') + "\r\n")),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask_tls(port_, "GET /" + std::string(20'000, 'x')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask_tls(port_, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                                 std::string(30'000, 'x')),
              StartsWith("HTTP/1.1 4"));
  expect_alive();
}

class Refused : public HttpsServerTest, public testing::WithParamInterface<const char*> {};

TEST_P(Refused, WithA400AndTheEndOfTheConnection) {
  serve();
  // What would be smuggled must not be answered as a request of its own.
  const std::string answer =
      ask_tls(port_, std::string(GetParam()) + "\r\n" + post("smuggled", "Connection: close\r\n"));
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("Connection: close")));
  EXPECT_THAT(answer, Not(HasSubstr("smuggled")));
  EXPECT_GE(server_->counters().bad_requests, 1u);
  expect_alive();
}

INSTANTIATE_TEST_SUITE_P(
    HttpsServerTest, Refused,
    testing::Values(
        "\x16\x03\x01 no HTTP\r\n", "GET /\r\n", "GET / HTTP/2.0\r\nHost: x\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\t \r\n\r\n0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\t0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nX: y\r\n Content-Length: 5\r\n",
        "POST / HTTP/1.1\r\nHost:\r\n x\r\nContent-Length: 0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "POST / HTTP/1.1\r\nHost: x\nContent-Length: 0\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n", "POST / HTTP/1.1\r\nHost: x\r\n: no name\r\n",
        "POST  / HTTP/1.1\r\nHost: x\r\n"));

TEST_F(HttpsServerTest, EndsSlowClientsAtEveryStep) {
  ServerLimits limits;
  limits.handshake = limits.header = limits.body = limits.write = milliseconds(100);
  serve(limits);
  RawClient no_handshake(port_);
  EXPECT_EQ(no_handshake.read_all(), "");
  TlsClient in_header(port_);
  in_header.send("POST / HT");
  expect_closed_without_a_word(in_header);
  TlsClient in_body(port_);
  in_body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
  expect_closed_without_a_word(in_body);
  eventually([&] { return server_->counters().timeouts == 3; });
  expect_alive();
}

TEST_F(HttpsServerTest, DrippingBytesDoesNotExtendTheLimit) {
  ServerLimits limits;
  limits.header = milliseconds(100);
  serve(limits);
  TlsClient client(port_);
  client.send("GET / HTTP/1.1\r\n");
  while (client.send("X: y\r\n")) std::this_thread::sleep_for(milliseconds(5));
  eventually([&] { return server_->counters().connections == 0; });
  EXPECT_EQ(server_->counters().timeouts, 1u);
}

TEST_F(HttpsServerTest, EndsWhoDoesNotTakeTheAnswer) {
  ServerLimits limits;
  limits.write = milliseconds(100);
  serve(limits);
  TlsClient client(port_);
  const std::string large(8u << 20, 'l');
  client.send(post(large));
  eventually([&] { return server_->counters().timeouts == 1; });
  eventually([&] { return server_->counters().connections == 0; });
}

TEST_F(HttpsServerTest, EndsIdleConnectionsWithoutCallingItAFault) {
  ServerLimits limits;
  limits.idle = milliseconds(100);
  serve(limits);
  TlsClient client(port_);
  client.send(post("one"));
  client.read_answer();
  expect_closed_without_a_word(client);
  EXPECT_EQ(server_->counters().timeouts, 0u);
}

TEST_F(HttpsServerTest, ARequestThatIsCutOffIsNotHandled) {
  serve();
  { TlsClient(port_).send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"); }
  eventually([&] { return server_->counters().bad_requests == 1; });
  eventually([&] { return server_->counters().connections == 0; });
  expect_alive();
}

TEST_F(HttpsServerTest, HoldsNoMoreConnectionsThanAllowed) {
  ServerLimits limits;
  limits.connections = 3;
  serve(limits);
  std::vector<std::unique_ptr<TlsClient>> held;
  for (int i = 0; i < 3; ++i) held.push_back(std::make_unique<TlsClient>(port_));
  EXPECT_THROW(TlsClient{port_}, std::runtime_error);
  EXPECT_EQ(server_->counters().refused, 1u);
  held.pop_back();
  eventually([&] { return server_->counters().connections == 2; });
  expect_alive();
}

TEST_F(HttpsServerTest, CountsHandshakesThatFail) {
  serve();
  RawClient plain(port_);
  plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  plain.read_all();
  EXPECT_THROW(TlsClient(port_, TlsClientOptions{{}, {}, TLS1_1_VERSION}), std::runtime_error);
  eventually([&] { return server_->counters().handshake_failures == 2; });
  expect_alive();
}

TEST_F(HttpsServerTest, SpeaksTls12And13) {
  serve();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(port_, TlsClientOptions{ca_.certificate, {}, version});
    client.send(post("hello"));
    EXPECT_THAT(client.read_answer(), EndsWith("got hello"));
  }
}

TEST_F(HttpsServerTest, AsksForAClientCertificateWhereOneIsWanted) {
  material_.client_ca = ca_.certificate;
  serve();
  TlsClient known(port_, TlsClientOptions{{}, make_leaf(ca_, {"DNS:api"}), 0});
  known.send(post("hello"));
  EXPECT_THAT(known.read_answer(), EndsWith("got hello"));
  // In TLS 1.3 the client hears of it after its own handshake.
  TlsClient nobody(port_);
  nobody.send(post("hello"));
  expect_closed_without_a_word(nobody);
  TlsClient stranger(port_, TlsClientOptions{{}, make_leaf(make_ca("other"), {"DNS:api"}), 0});
  stranger.send(post("hello"));
  expect_closed_without_a_word(stranger);
}

TEST_F(HttpsServerTest, ANewCertificateIsForNewConnections) {
  serve();
  TlsClient old_one(port_, {ca_.certificate});
  const KeyPair other_ca = make_ca("other CA");
  const KeyPair other = make_leaf(other_ca, {"IP:127.0.0.1"});
  ASSERT_TRUE(tls_.replace({other.certificate, other.key}));
  TlsClient new_one(port_, {other_ca.certificate});
  for (TlsClient* client : {&old_one, &new_one}) {
    client->send(post("hello"));
    EXPECT_THAT(client->read_answer(), EndsWith("got hello"));
  }
}

TEST_F(HttpsServerTest, DrainingItServesAndSaysClose) {
  serve();
  TlsClient old_one(port_);
  old_one.send(post("one"));
  EXPECT_THAT(old_one.read_answer(), Not(HasSubstr("Connection: close")));
  server_->drain();
  TlsClient new_one(port_);
  for (TlsClient* client : {&old_one, &new_one}) {
    client->send(post("two"));
    EXPECT_THAT(client->read_all(), AllOf(HasSubstr("Connection: close"), EndsWith("got two")));
  }
}

TEST_F(HttpsServerTest, StoppingFinishesWhatRunsAndEndsWhatIsIdle) {
  serve();
  TlsClient idle(port_);
  idle.send(post("one"));
  idle.read_answer();
  TlsClient busy(port_);
  busy.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  eventually([&] { return server_->counters().in_flight == 1; });
  std::thread stopper([&] { server_->stop(); });
  expect_closed_without_a_word(idle);
  release_ = true;
  EXPECT_THAT(busy.read_all(), AllOf(HasSubstr("Connection: close"), EndsWith("got ")));
  stopper.join();
  EXPECT_EQ(server_->counters().connections, 0);
  EXPECT_THROW(RawClient{port_}, std::system_error);
}

TEST_F(HttpsServerTest, StoppingCutsWhatDoesNotFinish) {
  ServerLimits limits;
  limits.finish = milliseconds(50);
  serve(limits);
  TlsClient client(port_);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
  eventually([&] { return server_->counters().in_flight == 1; });
  server_->stop();
  expect_closed_without_a_word(client);
}

TEST_F(HttpsServerTest, ConnectionsGoRoundTheThreads) {
  serve({}, 4);
  std::vector<std::thread> clients;
  std::atomic<int> answered{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      TlsClient client(port_);
      for (int n = 0; n < 50; ++n) {
        client.send(post(std::to_string(n)));
        if (client.read_answer().ends_with("got " + std::to_string(n))) ++answered;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(answered, 400);
}

}  // namespace
}  // namespace sidetap::http
