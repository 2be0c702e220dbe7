// A scripted replica of the registry: WebSocket over TLS on the loopback.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include "shared/async/tuple.h"
#include "shared/http/web_socket.h"
#include "tests/support/certificates.h"

namespace sidetap::registry {

namespace asio = boost::asio;

class FakeRegistry {
 public:
  FakeRegistry(const testing_support::KeyPair& leaf, const std::string& address,
               std::uint16_t port = 0)
      : acceptor_(context_, {asio::ip::make_address(address), port}) {
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
    tls_ = http::TlsContext::make({leaf.certificate, leaf.key}).value();
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
  /// Cuts every connection.
  void cut() {
    asio::post(context_, [this] {
      for (const Peer& peer : peers_) peer->tls().cut();
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
  using Peer = std::shared_ptr<http::WebSocket>;

  asio::awaitable<void> serve() {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(async::kTuple);
      if (error) co_return;
      asio::co_spawn(context_, talk(std::move(socket)), asio::detached);
    }
  }
  asio::awaitable<void> talk(tcp::socket socket) {
    const auto peer =
        std::make_shared<http::WebSocket>(std::move(socket), *tls_, http::WebSocketLimits());
    boost::system::error_code error = co_await peer->tls().handshake();
    if (!error) error = co_await peer->read_request();
    if (error) co_return;
    unsigned status = 0;
    {
      const std::lock_guard lock(mutex_);
      authorization_ = std::string(peer->field("Authorization"));
      target_ = std::string(peer->target());
      status = decline_;
    }
    if (status != 0) {
      co_await peer->decline(status, "declined");
      co_return;
    }
    error = co_await peer->accept();
    if (error) co_return;
    peers_.push_back(peer);
    for (;;) {
      std::string message;
      error = co_await peer->read(message);
      if (error) co_return;
      const std::lock_guard lock(mutex_);
      received_.push_back(std::move(message));
      changed_.notify_all();
    }
  }
  asio::awaitable<void> write(Peer peer) {
    for (; !outbox_.empty(); outbox_.pop_front()) co_await peer->write(outbox_.front());
  }

  asio::io_context context_;
  std::shared_ptr<const http::TlsContext> tls_;
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
