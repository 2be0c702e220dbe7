#include "shared/http/https_server.h"

#include <stdexcept>
#include <thread>
#include <vector>

#include <openssl/ssl.h>

#include "tests/unit/shared_http/https_server_fixture.h"

namespace sidetap::http {
namespace {

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

TEST_F(HttpsServerTest, DrainingEndsWhatHasLongBeenIdle) {
  ServerLimits limits;
  limits.drain_idle = milliseconds(50);
  serve(limits);
  TlsClient idle(port_);
  TlsClient busy(port_);
  keep_idle_and_busy(idle, busy);
  server_->drain();
  // Its next question would else come to a server whose successor is long there.
  expect_closed_without_a_word(idle);
  release_ = true;
  EXPECT_THAT(busy.read_all(), AllOf(HasSubstr("Connection: close"), EndsWith("got ")));
  TlsClient new_one(port_);
  new_one.send(post("two"));
  EXPECT_THAT(new_one.read_all(), EndsWith("got two"));
}

TEST_F(HttpsServerTest, WhatIsIdleStaysWhileNothingDrains) {
  ServerLimits limits;
  limits.drain_idle = milliseconds(1);
  serve(limits);
  TlsClient idle(port_);
  for (const char* text : {"one", "two"}) {
    std::this_thread::sleep_for(milliseconds(50));
    idle.send(post(text));
    EXPECT_THAT(idle.read_answer(), EndsWith(std::string("got ") + text));
  }
}

TEST_F(HttpsServerTest, StoppingFinishesWhatRunsAndEndsWhatIsIdle) {
  serve();
  TlsClient idle(port_);
  TlsClient busy(port_);
  keep_idle_and_busy(idle, busy);
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
