#include "tests/sensor/control.h"

#include <deque>
#include <stdexcept>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sidetap::sensor {

namespace asio = boost::asio;

/// More messages than any tap sends without a request.
constexpr std::size_t kMostWaiting = 16;

struct Control::State {
  explicit State(std::unique_ptr<Stream> s)
      : stream(std::move(s)), news(stream->socket().get_executor()) {}
  bool has_news() const { return !messages.empty() || !failure.empty(); }

  std::unique_ptr<Stream> stream;
  asio::steady_timer news;  // cancelled when there is news
  std::deque<Message> messages;
  std::string failure;  // why no more messages arrive
  bool woken = false;
};

Control::Control(std::unique_ptr<Stream> stream)
    : state_(std::make_shared<State>(std::move(stream))) {
  asio::co_spawn(state_->news.get_executor(), read(state_), asio::detached);
}

Control::~Control() {
  boost::system::error_code ignored;
  state_->stream->socket().close(ignored);
}

asio::awaitable<void> Control::read(std::shared_ptr<State> state) {
  while (state->failure.empty()) {
    try {
      state->messages.push_back(co_await read_message(*state->stream));
      if (state->messages.size() > kMostWaiting) state->failure = "the tap sends without end";
    } catch (const std::exception& error) {
      state->failure = std::string("the control connection is lost: ") + error.what();
    }
    state->news.cancel();
  }
}

asio::awaitable<void> Control::send(rpcap::Bytes message) {
  co_await state_->stream->write(message);
}

asio::awaitable<bool> Control::wait(Clock::time_point until) {
  const auto state = state_;
  if (!state->has_news() && !std::exchange(state->woken, false)) {
    state->news.expires_at(until);
    boost::system::error_code cancelled;
    co_await state->news.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    state->woken = false;
  }
  co_return state->has_news();
}

asio::awaitable<Message> Control::next(Clock::time_point until) {
  while (!co_await wait(until)) {
    if (Clock::now() >= until) throw std::runtime_error("the tap does not answer");
  }
  if (state_->messages.empty()) throw std::runtime_error(state_->failure);
  Message message = std::move(state_->messages.front());
  state_->messages.pop_front();
  co_return message;
}

void Control::wake() {
  state_->woken = true;
  state_->news.cancel();
}

asio::ip::tcp::endpoint Control::local() const { return state_->stream->socket().local_endpoint(); }
asio::ip::tcp::endpoint Control::remote() const {
  return state_->stream->socket().remote_endpoint();
}

}  // namespace sidetap::sensor
