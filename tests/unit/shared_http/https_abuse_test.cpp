// What clients do wrong, or too much of.
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/unit/shared_http/https_server_fixture.h"

namespace sidetap::http {
namespace {

using HttpsAbuseTest = HttpsServerTest;

TEST_F(HttpsAbuseTest, PartOfARecordIsWaitedForWithoutHoldingTheThread) {
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

TEST_F(HttpsAbuseTest, PartOfARecordIsTheBeginningOfARequest) {
  ServerLimits limits;
  limits.header = milliseconds(100);
  serve(limits);
  TlsClient partial(port_);
  partial.send_raw(partial.sealed(post("never")).substr(0, 20));
  expect_closed_without_a_word(partial);
  EXPECT_EQ(server_->counters().timeouts, 1u);
}

TEST_F(HttpsAbuseTest, WhoSendsWithoutAPauseLetsOthersHaveTheirTurn) {
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

TEST_F(HttpsAbuseTest, NoticesAThreadThatRunsNoMore) {
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

TEST_F(HttpsAbuseTest, BodiesUnderWayHoldNoMoreMemoryThanAllowed) {
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

TEST_F(HttpsAbuseTest, BegunHeadersHoldWhatTheyAreAndKeepNobodyOut) {
  ServerLimits limits;
  // As 20'000 connections to the limits that serve by default.
  limits.held_bytes = 1u << 20;
  serve(limits);
  std::vector<std::unique_ptr<TlsClient>> begun;
  for (int i = 0; i < 310; ++i) {
    begun.push_back(std::make_unique<TlsClient>(port_));
    begun.back()->send("POST /inject/namespace HTTP/1.1\r\nHo");
  }
  eventually([&] { return server_->counters().in_flight == 310; });
  EXPECT_EQ(server_->counters().overloaded, 0u);
  begun.back()->send("st: x\r\nContent-Length: 20000\r\n\r\n" + std::string(20'000, 'b'));
  EXPECT_THAT(begun.back()->read_answer(), StartsWith("HTTP/1.1 200 "));
  expect_alive();
}

TEST_F(HttpsAbuseTest, PartsOfRecordsHoldNoMoreMemoryThanAllowed) {
  ServerLimits limits;
  limits.held_bytes = 1u << 20;
  serve(limits);
  std::vector<std::unique_ptr<TlsClient>> begun;
  for (int i = 0; i < 70; ++i) {
    begun.push_back(std::make_unique<TlsClient>(port_));
    begun.back()->send("POST / HTTP/1.1\r\nHo");
    begun.back()->send_raw(begun.back()->sealed(std::string(100, 'x')).substr(0, 20));
  }
  // OpenSSL keeps room for a whole record each.
  eventually([&] { return server_->counters().overloaded > 0; });
  expect_alive();
}

TEST_F(HttpsAbuseTest, FieldsHoldNoMoreMemoryThanAllowed) {
  ServerLimits limits;
  limits.held_bytes = 1u << 20;
  serve(limits);
  std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n";
  while (head.size() < 15u << 10) head += "a:\r\n";
  std::vector<std::unique_ptr<TlsClient>> begun;
  for (int i = 0; i < 10; ++i) {
    begun.push_back(std::make_unique<TlsClient>(port_));
    begun.back()->send(head + "\r\n");
  }
  eventually([&] { return server_->counters().overloaded > 0; });
  expect_alive();
}

TEST_F(HttpsAbuseTest, RefusesWhatIsTooLarge) {
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
    HttpsAbuseTest, Refused,
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

TEST_F(HttpsAbuseTest, EndsSlowClientsAtEveryStep) {
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

TEST_F(HttpsAbuseTest, DrippingBytesDoesNotExtendTheLimit) {
  ServerLimits limits;
  limits.header = milliseconds(100);
  serve(limits);
  TlsClient client(port_);
  client.send("GET / HTTP/1.1\r\n");
  while (client.send("X: y\r\n")) std::this_thread::sleep_for(milliseconds(5));
  eventually([&] { return server_->counters().connections == 0; });
  EXPECT_EQ(server_->counters().timeouts, 1u);
}

TEST_F(HttpsAbuseTest, EndsWhoDoesNotTakeTheAnswer) {
  ServerLimits limits;
  limits.write = milliseconds(100);
  serve(limits);
  TlsClient client(port_);
  const std::string large(8u << 20, 'l');
  client.send(post(large));
  eventually([&] { return server_->counters().timeouts == 1; });
  eventually([&] { return server_->counters().connections == 0; });
}

TEST_F(HttpsAbuseTest, EndsIdleConnectionsWithoutCallingItAFault) {
  ServerLimits limits;
  limits.idle = milliseconds(100);
  serve(limits);
  TlsClient client(port_);
  client.send(post("one"));
  client.read_answer();
  expect_closed_without_a_word(client);
  EXPECT_EQ(server_->counters().timeouts, 0u);
}

TEST_F(HttpsAbuseTest, ARequestThatIsCutOffIsNotHandled) {
  serve();
  { TlsClient(port_).send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"); }
  eventually([&] { return server_->counters().bad_requests == 1; });
  eventually([&] { return server_->counters().connections == 0; });
  expect_alive();
}

TEST_F(HttpsAbuseTest, HoldsNoMoreConnectionsThanAllowed) {
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

}  // namespace
}  // namespace sidetap::http
