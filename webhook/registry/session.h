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

/// The address of the other end; nothing when it is gone already.
std::optional<net::IpAddress> source_of(const boost::asio::ip::tcp::socket& socket);

/// The registry's thread only. Kept alive by its coroutines.
class Session : public std::enable_shared_from_this<Session> {
 public:
  /// `tasks`, which have the socket's executor, outlive this object. `source` is of the other end;
  /// nothing when it is gone already. A tap that is silent for `silence` is cut.
  Session(async::TaskGroup& tasks, ConnectionId id, std::optional<net::IpAddress> source,
          boost::asio::ip::tcp::socket socket, const http::TlsContext& tls,
          std::chrono::milliseconds silence);

  ConnectionId id() const { return id_; }
  std::optional<net::IpAddress> source() const { return source_; }
  boost::asio::any_io_executor executor() { return socket_.executor(); }

  /// TLS and the HTTP request of the upgrade; false when either fails.
  boost::asio::awaitable<bool> greet();
  /// With the request that greet() read.
  const http::WebSocket& request() const { return socket_; }
  boost::asio::awaitable<void> decline(unsigned status, std::string reason);
  boost::asio::awaitable<bool> accept();
  /// The next message's text, valid until the next call; nothing at the end.
  boost::asio::awaitable<std::optional<std::string>> read();
  /// From now on this tap is told what there is.
  void subscribe(std::shared_ptr<const News> news);
  /// There is something new. Does nothing before subscribe().
  void tell(std::shared_ptr<const News> news);
  /// The next thing it is told is everything.
  void resync();
  /// Tells why, and ends. While that is under way, a second reason ends it at once.
  boost::asio::awaitable<void> refuse(std::string reason);
  void cut();
  /// Has the other end gone, or was it cut? Known without reading.
  bool has_ended();

 private:
  boost::asio::awaitable<void> write();
  void watch();
  std::chrono::steady_clock::time_point heard() const;
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
  boost::asio::steady_timer written_;  ///< Cancelled when nothing is being written any more.
  bool writing_ = false;
  bool refused_ = false;
  bool open_ = false;
};

}  // namespace sidetap::webhook::registry
