#include "sidecar/tap/order_desk.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <boost/asio/buffer.hpp>

#include "shared/telemetry/log.h"
#include "sidecar/options/longest_run.h"

namespace sidetap {
namespace {

std::chrono::seconds seconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

}  // namespace

OrderDesk::OrderDesk(boost::asio::any_io_executor executor, OrderDeskConfig config,
                     std::function<void(std::string_view, bool)> end)
    : config_(std::move(config)), end_(std::move(end)), input_(executor), timer_(executor) {}

void OrderDesk::start() {
  if (config_.run_for.count() > 0) told_end_ = Clock::now() + config_.run_for;
  patient_until_ = Clock::now() + config_.token_patience;
  if (config_.orders) {
    boost::system::error_code error;
    input_.assign(config_.orders.get(), error);
    if (error) {
      telemetry::warn("no orders from standard input", {{"reason", error.message()}});
    } else {
      config_.orders.release();
      read();
    }
  }
  schedule();
}

Result<std::string> OrderDesk::token() const {
  if (token_.empty()) return Error{"no token has arrived on standard input"};
  return token_;
}

void OrderDesk::stop() {
  stopped_ = true;
  timer_.cancel();
  boost::system::error_code ignored;
  input_.cancel(ignored);
}

void OrderDesk::read() {
  input_.async_read_some(
      boost::asio::buffer(bytes_), [this](const boost::system::error_code& error, std::size_t got) {
        if (stopped_) return;
        if (error) {
          // The end of the stream: what was said before still holds.
          telemetry::debug("no more orders from standard input", {{"reason", error.message()}});
          return;
        }
        lines_.feed({bytes_.data(), got}, [this](std::string_view line) { take(line); });
        if (!stopped_) read();
      });
}

void OrderDesk::take(std::string_view line) {
  if (stopped_) return;
  auto order = parse_order(line);
  if (!order) {
    telemetry::warn("an order is refused", {{"reason", order.error().text}});
    return;
  }
  std::visit([this](auto&& one) { obey(std::forward<decltype(one)>(one)); }, *std::move(order));
}

void OrderDesk::obey(TokenOrder order) {
  token_end_.reset();
  std::chrono::seconds left{};
  if (const auto expiry = expiry_of(order.token)) {
    // A time far away would not fit into the clock's units.
    left = std::clamp(*expiry - seconds_since_1970(), std::chrono::seconds(0),
                      std::chrono::seconds(2 * kLongestRun));
    token_end_ = Clock::now() + std::max(std::chrono::seconds(0), left - config_.ahead_of_expiry);
  }
  token_ = std::move(order.token);
  telemetry::info("order taken", {{"order", "token"}, {"seconds_left", left.count()}});
  schedule();
}

void OrderDesk::obey(const TimeOrder& order) {
  told_end_ = Clock::now() + order.time;
  telemetry::info("order taken", {{"order", "for"}, {"seconds", order.time.count() / 1000}});
  schedule();
}

void OrderDesk::obey(const StopOrder&) {
  telemetry::info("order taken", {{"order", "stop"}});
  finish("an order", false);
}

void OrderDesk::schedule() {
  if (stopped_) return;
  std::optional<Clock::time_point> next = told_end_;
  if (token_end_) next = next ? std::min(*next, *token_end_) : *token_end_;
  if (awaits_token()) next = next ? std::min(*next, patient_until_) : patient_until_;
  if (!next) return;
  timer_.expires_at(*next);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_) return;
    const auto now = Clock::now();
    if (awaits_token() && now >= patient_until_) return finish("no token has arrived", true);
    if (told_end_ && now >= *told_end_) return finish("the time is up", awaits_token());
    if (token_end_ && now >= *token_end_) return finish("the token expires", false);
    schedule();
  });
}

void OrderDesk::finish(std::string_view reason, bool failed) {
  stop();
  if (const auto end = std::exchange(end_, nullptr)) end(reason, failed);
}

}  // namespace sidetap
