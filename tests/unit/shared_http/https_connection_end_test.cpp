// How operations of the HTTPS client end: by limits, cuts, cancellation, and the wrong server.
#include "tests/unit/shared_http/https_connection_fixture.h"

namespace sidetap::http {
namespace {

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
    std::this_thread::sleep_for(milliseconds(500));
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

// A pending operation keeps alive what it uses.
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
  EXPECT_THAT(ask(), StartsWith("write: ")) << "no token may leave before the server is verified";
}

}  // namespace
}  // namespace sidetap::http
