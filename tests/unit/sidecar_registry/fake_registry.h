// A scripted replica of the registry: WebSocket over TLS on the loopback.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/rate_policy.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "shared/async/tuple.h"
#include "tests/support/certificates.h"

namespace sidetap::registry {

namespace asio = boost::asio;
namespace beast = boost::beast;

class FakeRegistry {
 public:
  FakeRegistry(const testing_support::KeyPair& leaf, const std::string& address,
               std::uint16_t port = 0)
      : tls_(asio::ssl::context::tls_server),
        acceptor_(context_, {asio::ip::make_address(address), port}) {
    use(leaf);
    port_ = acceptor_.local_endpoint().port();
    asio::co_spawn(context_, serve(), asio::detached);
    thread_ = std::thread([this] { context_.run(); });
  }
  ~FakeRegistry() { freeze(); }

  /// From now on, it does nothing and answers no pings, but keeps its connections.
  void freeze() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  std::uint16_t port() const { return port_; }
  /// Sets the certificate for new connections. Call it before the first one.
  void use(const testing_support::KeyPair& leaf) {
    tls_.use_certificate_chain(asio::buffer(leaf.certificate));
    tls_.use_private_key(asio::buffer(leaf.key), asio::ssl::context::pem);
  }
  void present(testing_support::KeyPair leaf) {
    asio::post(context_, [this, leaf = std::move(leaf)] { use(leaf); });
  }
  /// Answers upgrades with this status.
  void decline(unsigned status) {
    const std::lock_guard lock(mutex_);
    decline_ = status;
  }
  /// Sends to the newest connection.
  void send(std::string text) {
    asio::post(context_, [this, text = std::move(text)] {
      outbox_.push_back(text);
      if (outbox_.size() == 1) asio::co_spawn(context_, write(peers_.back()), asio::detached);
    });
  }
  /// Limits what the newest connection receives from now on.
  void slow_down(std::size_t bytes_a_second) {
    asio::post(context_, [this, bytes_a_second] {
      beast::get_lowest_layer(*peers_.back()).rate_policy().write_limit(bytes_a_second);
    });
  }
  /// Cuts every connection.
  void cut() {
    asio::post(context_, [this] {
      for (const auto& peer : peers_) beast::get_lowest_layer(*peer).close();
    });
  }
  /// The next message of any tap; nothing if none arrives within 10 s.
  std::optional<std::string> receive() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), [&] { return !received_.empty(); })) {
      return std::nullopt;
    }
    std::string text = received_.front();
    received_.pop_front();
    return text;
  }
  [[nodiscard]] bool silent_for(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, time, [&] { return !received_.empty(); });
  }
  std::string authorization() {
    const std::lock_guard lock(mutex_);
    return authorization_;
  }
  std::string target() {
    const std::lock_guard lock(mutex_);
    return target_;
  }

 private:
  using tcp = asio::ip::tcp;
  using Stream = beast::websocket::stream<beast::ssl_stream<
      beast::basic_stream<tcp, asio::any_io_executor, beast::simple_rate_policy>>>;
  using Peer = std::shared_ptr<Stream>;

  asio::awaitable<void> serve() {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(async::kTuple);
      if (error) co_return;
      asio::co_spawn(context_, talk(std::move(socket)), asio::detached);
    }
  }
  asio::awaitable<void> talk(tcp::socket socket) {
    const auto peer = std::make_shared<Stream>(std::move(socket), tls_);
    auto [tls_error] =
        co_await peer->next_layer().async_handshake(asio::ssl::stream_base::server, async::kTuple);
    if (tls_error) co_return;
    beast::flat_buffer buffer;
    beast::http::request<beast::http::string_body> request;
    auto [read_error, size] =
        co_await beast::http::async_read(peer->next_layer(), buffer, request, async::kTuple);
    if (read_error) co_return;
    unsigned status = 0;
    {
      const std::lock_guard lock(mutex_);
      authorization_ = std::string(request[beast::http::field::authorization]);
      target_ = std::string(request.target());
      status = decline_;
    }
    if (status != 0) {
      beast::http::response<beast::http::empty_body> response(beast::http::int_to_status(status),
                                                              11);
      response.prepare_payload();
      co_await beast::http::async_write(peer->next_layer(), response, async::kTuple);
      co_return;
    }
    auto [accept_error] = co_await peer->async_accept(request, async::kTuple);
    if (accept_error) co_return;
    peers_.push_back(peer);
    for (;;) {
      beast::flat_buffer message;
      auto [error, bytes] = co_await peer->async_read(message, async::kTuple);
      if (error) co_return;
      const std::lock_guard lock(mutex_);
      received_.push_back(beast::buffers_to_string(message.data()));
      changed_.notify_all();
    }
  }
  asio::awaitable<void> write(Peer peer) {
    for (; !outbox_.empty(); outbox_.pop_front()) {
      co_await peer->async_write(asio::buffer(outbox_.front()), async::kTuple);
    }
  }

  asio::io_context context_;
  asio::ssl::context tls_;
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  std::list<Peer> peers_;
  std::deque<std::string> outbox_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> received_;
  std::string authorization_;
  std::string target_;
  unsigned decline_ = 0;
};

}  // namespace sidetap::registry
