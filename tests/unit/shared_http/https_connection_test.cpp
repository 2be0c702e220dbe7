// The client's end of HTTPS against a server that answers whatever the test says, or nothing.
#include "shared/http/https_connection.h"

#include <functional>
#include <sstream>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_peer.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using testing_support::TlsPeer;
using testing_support::TlsPeerServer;

constexpr milliseconds kLong{10'000};
constexpr milliseconds kShort{100};
const HttpsRequest kGet{.method = "GET", .target = "/x?y=1", .host = "server"};

std::string of_length(const std::string& body, const std::string& more = "") {
  return "HTTP/1.1 200 OK\r\n" + more + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}
std::string chunk(const std::string& text) {
  std::ostringstream out;
  out << std::hex << text.size() << "\r\n" << text << "\r\n";
  return out.str();
}
/// More than a connection takes whose server does not read.
const HttpsRequest& large_request() {
  static const std::string body(32u << 20, 'x');
  static const HttpsRequest request{.method = "PUT",
                                    .target = "/x",
                                    .host = "server",
                                    .content_type = "text/plain",
                                    .body = body};
  return request;
}
void read_nothing(TlsPeer& peer) {
  std::this_thread::sleep_for(milliseconds(400));
  peer.wait_for_end();
}
const std::string kChunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Texts say what an operation came to: "", "200 BODY", or its error.
class HttpsConnectionTest : public testing::Test {
 protected:
  ~HttpsConnectionTest() override {
    connection_.reset();
    server_.reset();
  }
  /// A server that answers the first request with these bytes and waits for our end.
  void serve(std::string bytes) {
    serve_with([bytes = std::move(bytes)](TlsPeer& peer) {
      peer.request();
      peer.send(bytes);
      peer.wait_for_end();
    });
  }
  /// The same, that ends after them.
  void serve_and_end(std::string bytes, bool in_order) {
    serve_with([bytes = std::move(bytes), in_order](TlsPeer& peer) {
      peer.request();
      if (!bytes.empty()) peer.send(bytes);
      if (in_order) peer.finish();
    });
  }
  void serve_with(TlsPeerServer::Script script) {
    begin(std::move(script));
    ASSERT_EQ(open(), "");
  }
  /// A server, and a connection that is not open yet.
  void begin(TlsPeerServer::Script script) {
    connection_.reset();  // the last server waits for it
    server_ = std::make_unique<TlsPeerServer>(leaf_, std::move(script));
    connection_ = std::make_unique<HttpsConnection>(context_.get_executor());
  }
  std::vector<asio::ip::tcp::endpoint> servers() const {
    return {{asio::ip::make_address("127.0.0.1"), server_->port()}};
  }
  std::string open(milliseconds limit = kLong) { return run(opened(servers(), limit)); }
  std::string ask(const HttpsRequest& request = kGet,
                  std::optional<std::uint64_t> most_body = std::nullopt,
                  milliseconds limit = kLong) {
    return run(asked(request, most_body, limit));
  }
  std::string run(asio::awaitable<std::string> work) {
    std::string outcome;
    const auto store = [&]() -> asio::awaitable<void> { outcome = co_await std::move(work); };
    async::run_to_end(context_, store());
    return outcome;
  }
  asio::awaitable<std::string> opened(std::vector<asio::ip::tcp::endpoint> servers,
                                      milliseconds limit) {
    const auto trust = TlsTrust::make(ca_.certificate);
    const auto result = co_await connection_->open(servers, trust.value(), "127.0.0.1", limit);
    co_return result ? "" : result.error().text;
  }
  asio::awaitable<std::string> asked(HttpsRequest request, std::optional<std::uint64_t> most_body,
                                     milliseconds limit) {
    const auto status = co_await connection_->ask(request, most_body, limit);
    if (!status) co_return status.error().text;
    std::string text = std::to_string(*status) + " ";
    for (bool last = false; !last;) {
      const auto piece = co_await connection_->read(limit);
      if (!piece) co_return text + "| " + piece.error().text;
      text += piece->bytes;
      last = piece->last;
    }
    co_return text;
  }
  /// Where nobody listens.
  asio::ip::tcp::endpoint nobody() {
    const asio::ip::tcp::acceptor acceptor(context_, {asio::ip::make_address("127.0.0.1"), 0});
    return acceptor.local_endpoint();
  }
  /// While something else waits.
  void after(milliseconds time, std::function<void()> what) {
    timer_.expires_after(time);
    timer_.async_wait([what = std::move(what)](const boost::system::error_code&) { what(); });
  }
  testing_support::KeyPair ca_ = testing_support::make_ca("test CA");
  testing_support::KeyPair leaf_ = testing_support::make_leaf(ca_, {"IP:127.0.0.1"});
  asio::io_context context_;
  asio::steady_timer timer_{context_};
  std::unique_ptr<TlsPeerServer> server_;
  std::unique_ptr<HttpsConnection> connection_;
};

TEST_F(HttpsConnectionTest, CarriesOneRequestAfterTheOther) {
  std::vector<std::string> requests;
  serve_with([&](TlsPeer& peer) {
    for (const char* body : {"first", "", "third"}) {
      requests.push_back(peer.request());
      peer.send(of_length(body));
    }
    peer.wait_for_end();
  });
  EXPECT_EQ(ask(), "200 first");
  EXPECT_TRUE(connection_->reusable());
  EXPECT_EQ(ask({.method = "PUT",
                 .target = "/z",
                 .host = "server:443",
                 .token = "t0ken",
                 .content_type = "text/plain",
                 .body = "mine"}),
            "200 ");
  EXPECT_EQ(ask(), "200 third");
  connection_.reset();
  server_.reset();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_THAT(requests[0], AllOf(StartsWith("GET /x?y=1 HTTP/1.1\r\nHost: server\r\n"),
                                 EndsWith("Accept: application/json\r\n\r\n")));
  EXPECT_THAT(requests[1],
              AllOf(HasSubstr("Authorization: Bearer t0ken\r\n"),
                    EndsWith("Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nmine")));
}

TEST_F(HttpsConnectionTest, ReadsChunksHoweverTheyArrive) {
  const std::string answer = kChunkedHead + chunk("one ") + chunk("two ") +
                             chunk(std::string(70'000, 'x')) + "0\r\nTrailer: x\r\n\r\n";
  serve_with([&](TlsPeer& peer) {
    peer.request();
    // The first bytes one by one: the head, and two chunks.
    for (std::size_t at = 0; at < 80; ++at) peer.send(answer.substr(at, 1));
    peer.send(answer.substr(80));
    peer.wait_for_end();
  });
  EXPECT_EQ(ask(), "200 one two " + std::string(70'000, 'x'));
  EXPECT_TRUE(connection_->reusable());
}

TEST_F(HttpsConnectionTest, GivesOutWhatHasComeOfABodyThatGoesOn) {
  serve(kChunkedHead + chunk("one"));
  const auto first = [&]() -> asio::awaitable<std::string> {
    const auto status = co_await connection_->ask(kGet, std::nullopt, kLong);
    EXPECT_TRUE(status);
    const auto piece = co_await connection_->read(kLong);
    co_return piece && !piece->last ? piece->bytes : "nothing";
  };
  EXPECT_EQ(run(first()), "one");
}

TEST_F(HttpsConnectionTest, TheEndOfTheConnectionEndsABodyOfUnknownLength) {
  serve_and_end("HTTP/1.1 200 OK\r\n\r\nall of it", true);
  EXPECT_EQ(ask(), "200 all of it");
  EXPECT_FALSE(connection_->reusable());
}

TEST_F(HttpsConnectionTest, AnEndThatAnyoneMayHaveMadeIsAnError) {
  serve_and_end("HTTP/1.1 200 OK\r\n\r\npart of it", false);
  EXPECT_THAT(ask(), StartsWith("200 part of it| read: "));
}

TEST_F(HttpsConnectionTest, AHeadWithoutEndIsRefused) {
  std::string fields;
  while (fields.size() < 40'000) fields += "Field: value\r\n";
  for (const std::string& head : {fields, "Field: " + std::string(40'000, 'x')}) {
    serve("HTTP/1.1 200 OK\r\n" + head);
    EXPECT_THAT(ask(), AllOf(StartsWith("read: "), testing::Not(HasSubstr("timed out"))));
  }
}

TEST_F(HttpsConnectionTest, ChunksWithoutSenseAreRefused) {
  serve(kChunkedHead + "4;" + std::string(100'000, 'x'));
  EXPECT_THAT(ask(), StartsWith("200 | read: "));
}

TEST_F(HttpsConnectionTest, ABodyOverTheLimitIsRefusedByItsHead) {
  serve(of_length(std::string(101, 'x')));
  EXPECT_THAT(ask(kGet, 100), StartsWith("read: "));
}

TEST_F(HttpsConnectionTest, ABodyOverTheLimitIsRefusedAsItComes) {
  serve(kChunkedHead + chunk(std::string(60, 'x')) + chunk(std::string(60, 'x')) + chunk(""));
  EXPECT_THAT(ask(kGet, 100), HasSubstr("| read: "));
}

TEST_F(HttpsConnectionTest, ABodyAtTheLimitIsTaken) {
  serve(of_length(std::string(100, 'x')));
  EXPECT_EQ(ask(kGet, 100), "200 " + std::string(100, 'x'));
}

TEST_F(HttpsConnectionTest, NoRoomIsMadeForWhatIsOnlyAnnounced) {
  serve("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\nlittle");
  EXPECT_EQ(ask(kGet, std::nullopt, kShort), "200 little| read: timed out");
}

TEST_F(HttpsConnectionTest, AnEndBeforeAnyAnswerCanBeAskedAgainElsewhere) {
  serve_and_end("", true);
  EXPECT_THAT(ask(), AllOf(StartsWith("read: "), testing::Not(HasSubstr("timed out"))));
  EXPECT_TRUE(connection_->unanswered());
}

TEST_F(HttpsConnectionTest, AnEndWithinTheHeadCannot) {
  serve_and_end("HTTP/1.1 200", true);
  EXPECT_THAT(ask(), StartsWith("read: "));
  EXPECT_FALSE(connection_->unanswered());
}

TEST_F(HttpsConnectionTest, AnEndWithinTheBodyIsAnError) {
  serve_and_end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true);
  EXPECT_THAT(ask(), StartsWith("200 half| read: "));
  EXPECT_FALSE(connection_->reusable());
}

TEST_F(HttpsConnectionTest, WhatIsNoAnswerIsAnError) {
  const std::vector<std::string> rubbish{
      "garbage\r\n\r\n",
      std::string(200, '\0') + "\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/9.1 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
      "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
      kChunkedHead + "sixteen\r\n",
      kChunkedHead + "fffffffffffffffff\r\n",
      kChunkedHead + "1\r\nxyz\r\n0\r\n\r\n"};
  for (const auto& bytes : rubbish) {
    serve(bytes);
    EXPECT_THAT(ask(kGet, 100), AllOf(HasSubstr("read: "), testing::Not(HasSubstr("timed out"))))
        << bytes;
    EXPECT_FALSE(connection_->reusable()) << bytes;
    connection_.reset();
  }
}

TEST_F(HttpsConnectionTest, AServerThatSaysMoreThanItsAnswerIsNotAskedAgain) {
  serve(of_length("x") + "HTTP/1.1 200 OK\r\n");
  EXPECT_EQ(ask(), "200 x");
  EXPECT_FALSE(connection_->reusable());
}

TEST_F(HttpsConnectionTest, AServerThatClosesIsNotAskedAgain) {
  serve(of_length("x", "Connection: close\r\n"));
  EXPECT_EQ(ask(), "200 x");
  EXPECT_FALSE(connection_->reusable());
}

TEST_F(HttpsConnectionTest, FieldsThatHoldALineBreakAreNotSent) {
  std::string seen;
  serve_with([&](TlsPeer& peer) { seen = peer.request(); });
  HttpsRequest request = kGet;
  request.token = "a\r\nX: y";
  EXPECT_THAT(ask(request), AllOf(StartsWith("request: "), HasSubstr("token")));
  request = kGet;
  request.target = "/a b";
  EXPECT_THAT(ask(request), StartsWith("request: "));
  request.target = "x";
  EXPECT_THAT(ask(request), StartsWith("request: "));
  request = kGet;
  request.host = "a\nb";
  EXPECT_THAT(ask(request), StartsWith("request: "));
  request = kGet;
  request.content_type = std::string_view("a\0b", 3);
  EXPECT_THAT(ask(request), StartsWith("request: "));
  connection_.reset();
  server_.reset();
  EXPECT_EQ(seen, "");
}

TEST_F(HttpsConnectionTest, EveryWaitHasALimit) {
  serve("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  EXPECT_EQ(ask(kGet, std::nullopt, kShort), "200 half| read: timed out");
  serve("HTTP/1.1 200");
  EXPECT_EQ(ask(kGet, std::nullopt, kShort), "read: timed out");
  EXPECT_FALSE(connection_->unanswered());
  serve_with(read_nothing);
  EXPECT_EQ(ask(large_request(), std::nullopt, kShort), "write: timed out");
  begin(nullptr);
  EXPECT_EQ(open(kShort), "TLS handshake: timed out");
}

TEST_F(HttpsConnectionTest, TriesOneServerAfterTheOther) {
  begin([](TlsPeer& peer) {
    peer.request();
    peer.send(of_length("x"));
    peer.wait_for_end();
  });
  EXPECT_EQ(run(opened({nobody(), servers().front()}, kLong)), "");
  EXPECT_EQ(ask(), "200 x");
}

TEST_F(HttpsConnectionTest, NothingCanBeAskedOfWhatIsNotOpen) {
  begin(nullptr);
  EXPECT_THAT(ask(), StartsWith("write: "));
  EXPECT_THAT(run(opened({}, kLong)), StartsWith("connect: "));
  EXPECT_THAT(run(opened({nobody()}, kLong)), StartsWith("connect: "));
  EXPECT_THAT(ask(), StartsWith("write: "));
  const auto read = [&]() -> asio::awaitable<std::string> {
    const auto piece = co_await connection_->read(kLong);
    co_return piece ? "read" : piece.error().text;
  };
  EXPECT_THAT(run(read()), StartsWith("read: "));
}

TEST_F(HttpsConnectionTest, ASecondOperationFailsAndTheFirstGoesOn) {
  serve_with([](TlsPeer& peer) {
    peer.request();
    std::this_thread::sleep_for(milliseconds(100));
    peer.send(of_length("x"));
    peer.wait_for_end();
  });
  std::string second;
  async::TaskGroup tasks(context_.get_executor(), nullptr);
  const auto ask_too = [&]() -> asio::awaitable<void> {
    second = co_await asked(kGet, std::nullopt, kLong);
  };
  after(milliseconds(20), [&] { tasks.spawn("second", ask_too()); });
  EXPECT_EQ(ask(), "200 x");
  EXPECT_THAT(second, StartsWith("write: "));
}

TEST_F(HttpsConnectionTest, ACutEndsWhatWaits) {
  serve("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  after(kShort, [this] { connection_->cut(); });
  EXPECT_THAT(ask(), AllOf(StartsWith("200 half| read: "), HasSubstr("canceled")));
  EXPECT_FALSE(connection_->reusable());
  serve_with(read_nothing);
  after(kShort, [this] { connection_->cut(); });
  EXPECT_THAT(ask(large_request()), AllOf(StartsWith("write: "), HasSubstr("canceled")));
  EXPECT_FALSE(connection_->unanswered());
}

// What waits keeps alive what it waits with.
TEST_F(HttpsConnectionTest, TheConnectionMayGoWhileAnOperationIsUnderWay) {
  serve("HTTP/1.1 200");
  after(kShort, [this] { connection_.reset(); });
  EXPECT_THAT(ask(), AllOf(StartsWith("read: "), HasSubstr("canceled")));
  serve_with(read_nothing);
  after(kShort, [this] { connection_.reset(); });
  EXPECT_THAT(ask(large_request()), AllOf(StartsWith("write: "), HasSubstr("canceled")));
}

TEST_F(HttpsConnectionTest, ACancelledTaskEndsAndTheConnectionMayGoAtOnce) {
  for (const bool write : {false, true}) {
    SCOPED_TRACE(write ? "write" : "read");
    write ? serve_with(read_nothing) : serve("HTTP/1.1 200 OK\r\n");
    async::TaskGroup tasks(context_.get_executor(), nullptr);
    bool ended = false;
    const auto work = [&]() -> asio::awaitable<void> {
      co_await asked(write ? large_request() : kGet, std::nullopt, kLong);
    };
    tasks.spawn("asks", work(), [&](const Result<void>& outcome) {
      ended = outcome.has_value();
      connection_.reset();
    });
    after(kShort, [&] { tasks.cancel(); });
    context_.restart();
    context_.run();
    EXPECT_TRUE(ended);
  }
}

TEST_F(HttpsConnectionTest, TheEventLoopMayGoWhileAnOperationIsUnderWay) {
  server_ = std::make_unique<TlsPeerServer>(leaf_, [](TlsPeer& peer) { peer.wait_for_end(); });
  auto context = std::make_unique<asio::io_context>();
  connection_ = std::make_unique<HttpsConnection>(context->get_executor());
  async::TaskGroup tasks(context->get_executor(), nullptr);
  const auto work = [&]() -> asio::awaitable<void> {
    co_await opened(servers(), kLong);
    co_await asked(kGet, std::nullopt, kLong);
  };
  tasks.spawn("asks", work());
  context->run_for(kShort);
  EXPECT_EQ(tasks.running(), 1U);
  connection_.reset();
  context.reset();
}

TEST_F(HttpsConnectionTest, RefusesAServerThatIsAnother) {
  leaf_ = testing_support::make_leaf(ca_, {"DNS:elsewhere"});
  begin([](TlsPeer& peer) { peer.request(); });
  EXPECT_THAT(open(), StartsWith("TLS handshake: "));
}

}  // namespace
}  // namespace sidetap::http
