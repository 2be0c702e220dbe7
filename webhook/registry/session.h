// One tap's connection to the registry.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/task_group.h"
#include "shared/http/web_socket.h"
#include "webhook/registry/bulletin.h"

namespace sidetap::webhook::registry {

/// The address of the peer; nothing if it has already gone.
std::optional<net::IpAddress> source_of(const boost::asio::ip::tcp::socket& socket);

/// Use it only on the registry's thread. Its coroutines keep it alive.
class Session : public std::enable_shared_from_this<Session> {
 public:
  /// `tasks` must have the socket's executor and outlive this object. `source` is the address of
  /// the peer; nothing if it has already gone. A tap that is silent for `silence` is cut.
  Session(async::TaskGroup& tasks, ConnectionId id, std::optional<net::IpAddress> source,
          boost::asio::ip::tcp::socket socket, const http::TlsContext& tls,
          std::chrono::milliseconds silence);

  ConnectionId id() const { return id_; }
  std::optional<net::IpAddress> source() const { return source_; }
  boost::asio::any_io_executor executor() { return socket_.executor(); }

  /// Performs the TLS handshake and reads the upgrade request. Returns false if either fails.
  boost::asio::awaitable<bool> greet();
  /// Holds the request that greet() read.
  const http::WebSocket& request() const { return socket_; }
  boost::asio::awaitable<void> decline(unsigned status, std::string reason);
  // Answers without an upgrade, as of http::WebSocket. A call that waits for a slow reader ends
  // with cut().
  boost::asio::awaitable<void> answer(http::HttpAnswer reply);
  /// These two return false if the connection has ended.
  boost::asio::awaitable<bool> begin_body(std::string content_type);
  boost::asio::awaitable<bool> write_piece(std::string piece);
  boost::asio::awaitable<void> end_body();
  boost::asio::awaitable<bool> accept();
  /// The text of the next message; nothing at the end of the connection.
  boost::asio::awaitable<std::optional<std::string>> read();
  /// Starts sending versions to this tap.
  void subscribe(std::shared_ptr<const News> news);
  /// Sends a new version. Does nothing before subscribe().
  void tell(std::shared_ptr<const News> news);
  /// Sends these settings (a message, never null), unless they are what was sent last. Of several
  /// that a slow tap has not taken, only the newest is sent. Before subscribe(), they wait for it.
  void set_settings(std::shared_ptr<const std::string> text);
  /// Makes the next message a snapshot.
  void resync();
  /// Sends the reason and ends the connection. A second call during that cuts it at once.
  boost::asio::awaitable<void> refuse(std::string reason);
  void cut();
  /// When the last byte came from the peer, or the connection began.
  std::chrono::steady_clock::time_point heard() const;
  /// Whether the peer has gone or the connection was cut. Does not read.
  bool has_ended();

 private:
  boost::asio::awaitable<void> write();
  void watch();
  void wake();
  std::shared_ptr<const std::string> next_text();

  async::TaskGroup& tasks_;
  const ConnectionId id_;
  const std::optional<net::IpAddress> source_;
  const std::chrono::milliseconds silence_;
  const int descriptor_;
  http::WebSocket socket_;
  boost::asio::steady_timer silence_timer_;
  std::chrono::steady_clock::time_point opened_{};
  std::shared_ptr<const News> news_;
  std::optional<std::uint64_t> told_;
  std::shared_ptr<const std::string> told_ca_;
  std::shared_ptr<const std::string> settings_, told_settings_;
  boost::asio::steady_timer written_;  ///< Cancelled when a write ends.
  bool writing_ = false;
  bool refused_ = false;
  bool open_ = false;
};

}  // namespace sidetap::webhook::registry
