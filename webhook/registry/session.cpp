#include "webhook/registry/session.h"

#include <algorithm>
#include <utility>

#include <poll.h>

#include "shared/async/tuple.h"
#include "shared/net/socket_address.h"
#include "shared/registry/codec.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

}  // namespace

std::optional<net::IpAddress> source_of(const asio::ip::tcp::socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return std::nullopt;
  return net::read_socket_address(endpoint.data()).address;
}

Session::Session(async::TaskGroup& tasks, ConnectionId id, std::optional<net::IpAddress> source,
                 asio::ip::tcp::socket socket, const http::TlsContext& tls,
                 std::chrono::milliseconds silence)
    : tasks_(tasks),
      id_(id),
      source_(source),
      silence_(silence),
      descriptor_(socket.native_handle()),
      socket_(
          std::move(socket), tls,
          {.message_bytes = sidetap::registry::kMostTapMessageBytes, .handshake_timeout = silence}),
      silence_timer_(socket_.executor()),
      written_(socket_.executor(), asio::steady_timer::time_point::max()) {}

asio::awaitable<bool> Session::greet() {
  boost::system::error_code error = co_await socket_.tls().handshake();
  if (!error) error = co_await socket_.read_request();
  co_return !error;
}

asio::awaitable<void> Session::decline(unsigned status, std::string reason) {
  return socket_.decline(status, std::move(reason));
}

asio::awaitable<void> Session::answer(http::HttpAnswer reply) {
  return socket_.answer(std::move(reply));
}

asio::awaitable<bool> Session::begin_body(std::string content_type) {
  const boost::system::error_code error = co_await socket_.begin_body(std::move(content_type));
  co_return !error;
}

asio::awaitable<bool> Session::write_piece(std::string piece) {
  const boost::system::error_code error = co_await socket_.write_piece(std::move(piece));
  co_return !error;
}

asio::awaitable<void> Session::end_body() { return socket_.end_body(); }

asio::awaitable<bool> Session::accept() {
  const boost::system::error_code error = co_await socket_.accept();
  open_ = !error;
  opened_ = Clock::now();
  if (open_) watch();
  co_return open_;
}

/// A tap sends nothing while its token is checked, so silence counts from the opening at the
/// earliest.
Clock::time_point Session::heard() const { return std::max(opened_, socket_.heard()); }

/// Taps send pings, so a silent one is gone.
void Session::watch() {
  silence_timer_.expires_at(heard() + silence_);
  silence_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self || !self->open_) return;
    if (Clock::now() - self->heard() >= self->silence_) return self->cut();
    self->watch();
  });
}

asio::awaitable<std::optional<std::string>> Session::read() {
  std::string text;
  const boost::system::error_code error = co_await socket_.read(text);
  if (error) {
    open_ = false;
    silence_timer_.cancel();
    co_return std::nullopt;
  }
  co_return text;
}

void Session::subscribe(std::shared_ptr<const News> news) {
  news_ = std::move(news);
  wake();
}

void Session::tell(std::shared_ptr<const News> news) {
  if (!news_) return;
  news_ = std::move(news);
  wake();
}

void Session::set_settings(std::shared_ptr<const std::string> text) {
  if (settings_ == text) return;
  settings_ = std::move(text);
  wake();
}

void Session::wake() {
  if (!news_ || !open_ || refused_ || std::exchange(writing_, true)) return;
  tasks_.spawn("registry-write", write(), [self = shared_from_this()](const Result<void>& outcome) {
    if (outcome) return;
    // A tap that misses changes must not rely on what it knows. It connects again.
    self->writing_ = false;
    self->written_.cancel();
    self->cut();
  });
}

void Session::resync() {
  told_.reset();
  wake();
}

std::shared_ptr<const std::string> Session::next_text() {
  if (refused_) return nullptr;
  if (news_->ca && told_ca_ != news_->ca) {
    told_ca_ = news_->ca;
    return news_->ca;
  }
  if (told_settings_ != settings_) {
    const bool differ = !told_settings_ || *told_settings_ != *settings_;
    told_settings_ = settings_;
    if (differ) return settings_;
  }
  if (told_ == news_->version) return nullptr;
  const bool next = news_->change && told_ == news_->change_from;
  told_ = news_->version;
  return next ? news_->change : news_->snapshot;
}

asio::awaitable<void> Session::write() {
  const auto alive = shared_from_this();
  while (open_) {
    const auto text = next_text();
    if (!text) break;
    const boost::system::error_code error = co_await socket_.write(*text);
    if (error) break;  // read() reports the cause
  }
  writing_ = false;
  written_.cancel();
}

asio::awaitable<void> Session::refuse(std::string reason) {
  // Both calls would wait for the same moment and then write at once, but Beast allows only one
  // write.
  if (std::exchange(refused_, true)) {
    cut();
    co_return;
  }
  while (writing_) co_await written_.async_wait(async::kTuple);
  if (!open_) co_return;
  const std::string text = encode(sidetap::registry::Refused{std::move(reason)});
  const boost::system::error_code error = co_await socket_.write(text);
  // No closing handshake: a refused tap has nothing more to send.
  if (!error) socket_.tls().shutdown();
  open_ = false;
}

void Session::cut() {
  open_ = false;
  socket_.tls().cut();
}

bool Session::has_ended() {
  // Unlike a read, poll() sees the end even before pending bytes are read.
  pollfd socket{descriptor_, POLLRDHUP, 0};
  return ::poll(&socket, 1, 0) > 0;
}

}  // namespace sidetap::webhook::registry
