#include "webhook/registry/session.h"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http.hpp>
#include <poll.h>

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using Clock = std::chrono::steady_clock;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kMostHeaderBytes = 16u << 10;  // A token has about one KiB.

}  // namespace

std::optional<net::IpAddress> source_of(const asio::ip::tcp::socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return std::nullopt;
  if (endpoint.address().is_v4()) return net::IpAddress::v4(endpoint.address().to_v4().to_uint());
  const auto bytes = endpoint.address().to_v6().to_bytes();
  return net::IpAddress::from_v6_bytes(
      std::as_bytes(std::span<const unsigned char, 16>(bytes.data(), 16)));
}

Session::Session(ConnectionId id, std::optional<net::IpAddress> source,
                 asio::ip::tcp::socket socket, const http::TlsContext& tls)
    : id_(id),
      source_(source),
      stream_(std::move(socket), tls),
      silence_timer_(stream_.get_executor()),
      written_(stream_.get_executor(), asio::steady_timer::time_point::max()) {}

asio::awaitable<std::optional<Request>> Session::greet() {
  if (co_await stream_.next_layer().tls().handshake()) co_return std::nullopt;
  beast::http::request_parser<beast::http::string_body> parser;
  parser.header_limit(kMostHeaderBytes);
  parser.body_limit(0);
  auto [error, size] =
      co_await beast::http::async_read(stream_.next_layer(), buffer_, parser, kTuple);
  if (error) co_return std::nullopt;
  co_return parser.release();
}

asio::awaitable<void> Session::decline(unsigned status, std::string reason) {
  beast::http::response<beast::http::string_body> response(beast::http::int_to_status(status), 11);
  response.set(beast::http::field::content_type, "text/plain; charset=utf-8");
  response.set(beast::http::field::connection, "close");
  response.body() = std::move(reason) + "\n";
  response.prepare_payload();
  co_await beast::http::async_write(stream_.next_layer(), response, kTuple);
  stream_.next_layer().tls().shutdown();
}

asio::awaitable<bool> Session::accept(const Request& request, std::chrono::milliseconds silence) {
  websocket::stream_base::timeout timeout;
  timeout.handshake_timeout = silence;
  timeout.idle_timeout = websocket::stream_base::none();  // see watch()
  stream_.set_option(timeout);
  stream_.read_message_max(kMostMessageBytes);
  stream_.text(true);
  // Small messages: nothing of a connection shall hold large buffers.
  stream_.write_buffer_bytes(512);
  stream_.auto_fragment(false);
  auto [error] = co_await stream_.async_accept(request, kTuple);
  open_ = !error;
  if (open_) {
    stream_.control_callback(
        [this](websocket::frame_type, beast::string_view) { heard_ = Clock::now(); });
    heard_ = Clock::now();
    watch(silence);
  }
  co_return open_;
}

/// Taps ping, so a silent one is gone. (Beast's own pings may outlive the stream.)
void Session::watch(std::chrono::milliseconds silence) {
  silence_timer_.expires_at(heard_ + silence);
  silence_timer_.async_wait(
      [weak = weak_from_this(), silence](const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (error || !self || !self->open_) return;
        if (Clock::now() - self->heard_ >= silence) return self->cut();
        self->watch(silence);
      });
}

asio::awaitable<std::optional<std::string>> Session::read() {
  auto [error, size] = co_await stream_.async_read(buffer_, kTuple);
  if (error) {
    open_ = false;
    silence_timer_.cancel();
    co_return std::nullopt;
  }
  heard_ = Clock::now();
  std::string text = beast::buffers_to_string(buffer_.data());
  buffer_.consume(buffer_.size());
  buffer_.shrink_to_fit();
  co_return text;
}

void Session::subscribe(std::shared_ptr<const News> news) {
  news_ = std::move(news);
  tell(news_);
}

void Session::tell(std::shared_ptr<const News> news) {
  if (!news_) return;
  news_ = std::move(news);
  if (!open_ || refused_ || std::exchange(writing_, true)) return;
  asio::co_spawn(stream_.get_executor(), write(), asio::detached);
}

void Session::resync() {
  told_.reset();
  tell(news_);
}

std::shared_ptr<const std::string> Session::next_text() {
  if (refused_) return nullptr;
  if (news_->ca && told_ca_ != news_->ca) {
    told_ca_ = news_->ca;
    return news_->ca;
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
    auto [error, size] = co_await stream_.async_write(asio::buffer(*text), kTuple);
    if (error) break;  // The read tells why.
  }
  writing_ = false;
  written_.cancel();
}

asio::awaitable<void> Session::refuse(std::string reason) {
  // Both would wait for the same moment and then write at once, of which Beast does one only.
  if (std::exchange(refused_, true)) {
    cut();
    co_return;
  }
  while (writing_) co_await written_.async_wait(kTuple);
  if (!open_) co_return;
  const std::string text = refused_text(reason);
  auto [write_error, size] = co_await stream_.async_write(asio::buffer(text), kTuple);
  // No closing handshake: whoever is refused has nothing more to say.
  if (!write_error) stream_.next_layer().tls().shutdown();
  open_ = false;
}

void Session::cut() {
  open_ = false;
  stream_.next_layer().tls().cut();
}

bool Session::has_ended() {
  // Unlike the end that a read sees, this one is not behind bytes that nobody has read yet.
  pollfd socket{stream_.next_layer().next_layer().native_handle(), POLLRDHUP, 0};
  return ::poll(&socket, 1, 0) > 0;
}

}  // namespace sidetap::webhook::registry
