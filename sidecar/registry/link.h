// One connection to one replica, from the dial to its end.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "shared/async/task_group.h"
#include "shared/http/web_socket.h"
#include "shared/registry/messages.h"
#include "sidecar/registry/client.h"
#include "sidecar/session/sockets.h"

namespace sidetap::registry {

/// Why a connection ended. `kind` is the label of the metric.
struct LinkEnd {
  std::string_view kind;
  std::string text;
  /// When the replica was last known to be alive: its last byte, or its announcement that it ends.
  std::chrono::steady_clock::time_point heard{};
  /// TLS failed: the CA may be a wrong one.
  bool unverified = false;
};

class Link : public std::enable_shared_from_this<Link> {
 public:
  /// `config` must outlive this object. `tasks` must have the executor and outlive run().
  Link(async::TaskGroup& tasks, boost::asio::any_io_executor executor, const ClientConfig& config,
       session::Endpoint replica);

  /// Connects, upgrades, sends `hello`, then passes every message to `on_message` until the
  /// connection ends or `on_message` returns false. `ca` verifies the registry's certificate.
  boost::asio::awaitable<LinkEnd> run(std::string ca, const session::Exclude& exclude,
                                      const std::function<std::string()>& hello,
                                      const std::function<bool(Message)>& on_message);
  /// Queues a message. Drops it if the connection is not open.
  void send(std::string text);
  /// Whether the connection is open and hello was sent.
  bool open() const { return open_; }
  /// Ends run() soon, in any state.
  void close();

 private:
  boost::asio::awaitable<Result<void>> connect(const std::string& ca,
                                               const session::Exclude& exclude, LinkEnd& end);
  boost::asio::awaitable<LinkEnd> read(const std::function<bool(Message)>& on_message);
  boost::asio::awaitable<Result<void>> upgrade(LinkEnd& end);
  /// The error of a failed `step` on the way to an open connection.
  Error failed(std::string_view step, const boost::system::error_code& error) const;
  void end_connection();
  LinkEnd lost(const boost::system::error_code& error) const;
  void start_writing();
  boost::asio::awaitable<void> write();
  void watch();

  async::TaskGroup& tasks_;
  boost::asio::any_io_executor executor_;
  const ClientConfig& config_;
  const session::Endpoint replica_;
  async::Interruption interruption_;
  std::unique_ptr<http::WebSocket> socket_;
  bool open_ = false;
  bool writing_ = false;
  bool ping_due_ = false;
  bool silent_ = false;
  bool late_ = false;  ///< The handshakes took too long.
  std::chrono::steady_clock::time_point pinged_{};
  std::deque<std::string> outbox_;
  boost::asio::steady_timer watch_timer_;
};

/// Checks that `pem` is a bundle of at least one certificate.
Result<void> check_ca(const std::string& pem);

}  // namespace sidetap::registry
