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

/// What the sessions of a server have in common; outlives them.
struct SessionShared {
  ServerLimits limits;
  HttpHandler handler;
  MemoryBudget budget;
  telemetry::LogThrottle refusals{20, std::chrono::seconds(10)};
  telemetry::LogThrottle faults{5, std::chrono::minutes(1)};  ///< Of our own.
  ServerCounters counters = {};
  std::atomic<bool> draining{false};
  std::atomic<bool> stopping{false};
};

/// Lives on one thread. Nothing here arms a timer: the owner calls sweep() from time to time.
class HttpSession {
 public:
  using Clock = std::chrono::steady_clock;

  HttpSession(boost::asio::ip::tcp::socket socket, const TlsContext& tls, SessionShared& shared);

  /// Serves until the connection ends. The last statement of the connection's coroutine.
  boost::asio::awaitable<void> run();
  /// Cuts the connection when it has overstayed its present limit.
  void sweep(Clock::time_point now);
  /// Ends the connection if it waits for a request and none is on its way.
  void end_if_idle();
  void cut() { stream_.cut(); }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class Phase { kHandshake, kIdle, kRequest, kAnswer, kLinger };

  /// A request that is answered with an error and the end of the connection.
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
  /// False: as of read_request().
  boost::asio::awaitable<bool> more_bytes(std::optional<Refusal>& refusal);
  /// Reads into bytes_.
  TlsStep read_step();
  /// What the request under way holds by now; false: too much.
  bool charge();
  static Refusal overload();
  /// Whoever sends without a pause must not keep the thread: says from time to time that the others
  /// are to have their turn.
  bool others_turn();
  boost::asio::awaitable<bool> serve_one();
  /// Reads a request and has it answered; nothing when the connection is gone.
  boost::asio::awaitable<std::optional<Reply>> reply_to_next();
  /// False: the connection is gone, or the request was refused (then `refusal` says why).
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
  /// Read and not yet parsed: the beginning of a header, or of the next request.
  std::string bytes_;
  /// What the parser holds: fields and body.
  std::size_t parsed_bytes_ = 0;
  unsigned turns_ = 0;
  Phase phase_ = Phase::kHandshake;
  Clock::time_point deadline_;
  Clock::time_point idle_since_;
};

}  // namespace sidetap::http
