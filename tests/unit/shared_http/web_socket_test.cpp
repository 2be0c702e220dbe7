// Both ends of a WebSocket, side by side on one thread.
#include "shared/http/web_socket.h"

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "tests/support/certificates.h"

namespace sidetap::http {

namespace asio = boost::asio;

namespace {

class WebSocketTest : public testing::Test {
 protected:
  using ErrorCode = WebSocket::ErrorCode;
  using Work = asio::awaitable<void>;

  void connect(WebSocketLimits of_server = {}) {
    asio::ip::tcp::acceptor acceptor(context_, {asio::ip::make_address("127.0.0.1"), 0});
    asio::ip::tcp::socket dialled(context_);
    dialled.connect(acceptor.local_endpoint());
    server_.emplace(acceptor.accept(), *tls_, of_server);
    client_.emplace(std::move(dialled), *trust_, "127.0.0.1", WebSocketLimits());
    const auto shake = [](WebSocket& end) -> Work {
      const ErrorCode error = co_await end.tls().handshake();
      EXPECT_FALSE(error) << error.message();
    };
    run(shake(*server_), shake(*client_));
  }
  /// Connects, and upgrades.
  void open(WebSocketLimits of_server = {}) {
    connect(of_server);
    const auto accept = [this]() -> Work {
      ErrorCode error = co_await server_->read_request();
      if (!error) error = co_await server_->accept();
      EXPECT_FALSE(error) << error.message();
    };
    const auto upgrade = [this]() -> Work {
      const WebSocket::Answer answer = co_await client_->upgrade(host_, path_, token_);
      EXPECT_FALSE(answer.error) << answer.error.message();
    };
    run(accept(), upgrade());
  }
  /// Until both have ended.
  void run(Work of_server, Work of_client) {
    asio::co_spawn(context_, std::move(of_server), asio::detached);
    async::run_to_end(context_, std::move(of_client));
  }

  const std::string host_ = "registry:8444", path_ = "/v1/taps", token_ = "secret";
  testing_support::KeyPair ca_ = testing_support::make_ca("CA");
  testing_support::KeyPair leaf_ = testing_support::make_leaf(ca_, {"IP:127.0.0.1"});
  std::shared_ptr<const TlsContext> tls_ = TlsContext::make({leaf_.certificate, leaf_.key}).value();
  std::shared_ptr<const TlsTrust> trust_ = TlsTrust::make(ca_.certificate).value();
  asio::io_context context_{1};
  std::optional<WebSocket> server_;
  std::optional<WebSocket> client_;
};

TEST_F(WebSocketTest, CarriesMessagesOfAnySizeBothWays) {
  open();
  const std::vector<std::size_t> sizes = {1, 125, 126, 70'000, 500'000};
  const auto echo = [&]() -> Work {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      std::string message;
      ErrorCode error = co_await server_->read(message);
      if (!error) error = co_await server_->write(message);
      EXPECT_FALSE(error) << error.message();
    }
  };
  const auto ask = [&]() -> Work {
    for (const std::size_t size : sizes) {
      const std::string sent(size, 'x');
      std::string message;
      ErrorCode error = co_await client_->ping();
      if (!error) error = co_await client_->write(sent);
      if (!error) error = co_await client_->read(message);
      EXPECT_FALSE(error) << error.message();
      EXPECT_TRUE(message == sent) << size;
    }
  };
  run(echo(), ask());
}

TEST_F(WebSocketTest, AServerKnowsWhoAsksAndMayDecline) {
  connect();
  const auto decline = [&]() -> Work {
    const ErrorCode error = co_await server_->read_request();
    EXPECT_FALSE(error) << error.message();
    EXPECT_TRUE(server_->is_upgrade());
    EXPECT_EQ(server_->target(), path_);
    EXPECT_EQ(server_->field("Host"), host_);
    EXPECT_EQ(server_->field("Authorization"), "Bearer " + token_);
    co_await server_->decline(403, "not you");
  };
  const auto upgrade = [&]() -> Work {
    const WebSocket::Answer answer = co_await client_->upgrade(host_, path_, token_);
    EXPECT_TRUE(answer.error);
    EXPECT_EQ(answer.status, 403U);
    EXPECT_EQ(answer.reason, "Forbidden");
  };
  run(decline(), upgrade());
}

TEST_F(WebSocketTest, AServerMayAnswerInPiecesInstead) {
  connect();
  const auto answer = [&]() -> Work {
    ErrorCode error = co_await server_->read_request();
    EXPECT_FALSE(error) << error.message();
    EXPECT_FALSE(server_->is_upgrade());
    EXPECT_EQ(server_->method(), "GET");
    error = co_await server_->begin_body("text/plain");
    if (!error) error = co_await server_->write_piece("seventeen letters");
    if (!error) error = co_await server_->write_piece("");
    if (!error) error = co_await server_->write_piece("x");
    EXPECT_FALSE(error) << error.message();
    co_await server_->end_body();
  };
  std::string received;
  const auto ask = [&]() -> Work {
    const std::string request = "GET /long HTTP/1.1\r\nHost: x\r\n\r\n";
    ErrorCode error = co_await client_->tls().write(request);
    std::array<char, 512> piece{};
    while (!error) {
      const TlsStep step = client_->tls().read_step(piece);
      received.append(piece.data(), step.bytes);
      error = step.error;
      if (!error && step.bytes == 0) error = co_await client_->tls().wait(step.want);
    }
  };
  run(answer(), ask());
  const std::string body = "11\r\nseventeen letters\r\n1\r\nx\r\n0\r\n\r\n";
  EXPECT_TRUE(received.starts_with("HTTP/1.1 200 OK\r\n")) << received;
  EXPECT_TRUE(received.ends_with("\r\n\r\n" + body)) << received;
}

TEST_F(WebSocketTest, AMessageOverTheLimitEndsTheConnectionInOrder) {
  open({.message_bytes = 1'000});
  const auto refuse = [&]() -> Work {
    std::string message;
    const ErrorCode error = co_await server_->read(message);
    EXPECT_TRUE(error);
  };
  const auto exceed = [&]() -> Work {
    const std::string sent(1'001, 'x');
    std::string message;
    ErrorCode error = co_await client_->write(sent);
    EXPECT_FALSE(error) << error.message();
    error = co_await client_->read(message);
    EXPECT_TRUE(WebSocket::is_closed(error)) << error.message();
  };
  run(refuse(), exceed());
}

TEST_F(WebSocketTest, WhoeverReadsCanBeCancelledAndCut) {
  open();
  async::TaskGroup tasks(context_.get_executor(), nullptr);
  const auto read = [](WebSocket& end) -> Work {
    std::string message;
    const ErrorCode error = co_await end.read(message);
    EXPECT_TRUE(error);
  };
  const auto end_both = [&]() -> Work {
    tasks.spawn("cancelled", read(*client_));
    co_await async::sleep(context_.get_executor(), std::chrono::milliseconds(20), nullptr);
    tasks.cancel();
    const bool cancelled = co_await tasks.wait(std::chrono::seconds(5));
    EXPECT_TRUE(cancelled);
    client_->tls().cut();
  };
  async::run_to_end(context_, end_both());
  const auto cut = [&]() -> Work {
    co_await async::sleep(context_.get_executor(), std::chrono::milliseconds(20), nullptr);
    server_->tls().cut();
  };
  run(read(*server_), cut());
}

}  // namespace
}  // namespace sidetap::http
