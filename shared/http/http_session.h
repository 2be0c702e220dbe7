// One connection of an HttpsServer, from its handshake to its end.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "shared/http/https_server.h"
#include "shared/http/memory_budget.h"
#include "shared/http/tls_stream.h"
#include "shared/telemetry/log_throttle.h"

namespace sidetap::http {

/// What the sessions of a server share. Must outlive them.
struct SessionShared {
  ServerLimits limits;
  HttpHandler handler;
  MemoryBudget budget;
  telemetry::LogThrottle refusals{20, std::chrono::seconds(10)};
  telemetry::LogThrottle faults{5, std::chrono::minutes(1)};  ///< Internal errors of the server.
  ServerCounters counters = {};
  std::atomic<bool> draining{false};
  std::atomic<bool> stopping{false};
};

/// Use it on one thread. It arms no timers: the owner calls sweep() from time to time.
class HttpSession {
 public:
  using Clock = std::chrono::steady_clock;

  HttpSession(boost::asio::ip::tcp::socket socket, const TlsContext& tls, SessionShared& shared);

  /// Serves until the connection ends. Must be the last statement of the connection's coroutine.
  boost::asio::awaitable<void> run();
  /// Cuts the connection if its current time limit has expired.
  void sweep(Clock::time_point now);
  /// Ends the connection if it is idle and no request is arriving.
  void end_if_idle();
  void cut() { stream_.cut(); }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class Phase { kHandshake, kIdle, kRequest, kAnswer, kLinger };

  /// The error that answers a refused request. The connection then ends.
  struct Refusal {
    unsigned status;
    std::string reason;
  };
  struct Reply {
    HttpAnswer answer;
    bool head_only;
    bool close;
  };

  void enter(Phase phase, std::chrono::milliseconds limit);
  boost::asio::awaitable<bool> first_bytes();
  /// Returns false as read_request() does.
  boost::asio::awaitable<bool> more_bytes(std::optional<Refusal>& refusal);
  /// Reads into bytes_.
  TlsStep read_step();
  /// Charges the memory that the current request holds to the budget. Returns false if it is too
  /// much.
  bool charge();
  static Refusal overload();
  /// Returns true from time to time, to let other connections run: a peer that sends without pause
  /// must not monopolize the thread.
  bool others_turn();
  boost::asio::awaitable<bool> serve_one();
  /// Reads a request and produces its reply. Returns nothing if the connection is lost.
  boost::asio::awaitable<std::optional<Reply>> reply_to_next();
  /// Returns false if the connection is lost or the request was refused (then `refusal` says why).
  boost::asio::awaitable<bool> read_request(Parser& parser, std::optional<Refusal>& refusal);
  std::optional<Refusal> parse(Parser& parser);
  HttpAnswer handle(Parser& parser);
  HttpAnswer refuse(Refusal refusal);
  void log_refusal(const HttpAnswer& answer);
  boost::asio::awaitable<bool> answer(const Reply& reply);
  boost::asio::awaitable<void> linger();

  SessionShared& shared_;
  MemoryBudget::Share memory_;
  TlsStream stream_;
  /// Read but not parsed yet: the start of a header or of the next request.
  std::string bytes_;
  /// Bytes that the parser holds: fields and body.
  std::size_t parsed_bytes_ = 0;
  unsigned turns_ = 0;
  Phase phase_ = Phase::kHandshake;
  Clock::time_point deadline_;
  Clock::time_point idle_since_;
};

}  // namespace sidetap::http
