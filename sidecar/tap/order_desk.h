// Takes a tap's orders (orders.h) from a descriptor, and ends the tap when its time is up.
//
// The time is the shortest of what the options say, what an order says, and what the token allows:
// a tap whose token has expired would leave the registry without a word as soon as a connection
// breaks, so it ends in good order before that.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/net/unique_fd.h"
#include "shared/result.h"
#include "sidecar/tap/orders.h"

namespace sidetap {

struct OrderDeskConfig {
  /// Where orders come from; closed when the desk is destroyed. Invalid: there are none.
  net::UniqueFd orders{};
  bool needs_token = false;             ///< The tap cannot begin without one.
  std::chrono::milliseconds run_for{};  ///< From start(). Zero: without end.
  std::chrono::milliseconds token_patience{60'000};
  /// The tap ends this long before its token expires.
  std::chrono::seconds ahead_of_expiry{30};
};

/// Use it on the executor's single thread, which must not run it any more when it is destroyed.
class OrderDesk {
 public:
  /// `end` is called once at most, with the reason; `failed` says that the tap could not begin.
  OrderDesk(boost::asio::any_io_executor executor, OrderDeskConfig config,
            std::function<void(std::string_view reason, bool failed)> end);

  void start();
  /// Whether the tap must not begin yet.
  bool awaits_token() const { return config_.needs_token && token_.empty(); }
  /// The last token that came. Error: none has come.
  Result<std::string> token() const;
  /// Ends the wait for orders and for the time.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;

  void read();
  void take(std::string_view line);
  void obey(TokenOrder order);
  void obey(const TimeOrder& order);
  void obey(const StopOrder& order);
  void schedule();
  void finish(std::string_view reason, bool failed);

  OrderDeskConfig config_;
  std::function<void(std::string_view, bool)> end_;
  boost::asio::posix::stream_descriptor input_;
  boost::asio::steady_timer timer_;
  std::array<char, 4096> bytes_{};
  OrderLines lines_;
  std::string token_;
  Clock::time_point patient_until_{};
  std::optional<Clock::time_point> told_end_;   ///< By the options or an order.
  std::optional<Clock::time_point> token_end_;  ///< When the token makes the tap end.
  bool stopped_ = false;
};

}  // namespace sidetap
