#include "sidecar/registry/link.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <tuple>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <openssl/ssl.h>

namespace sidetap::registry {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using Clock = std::chrono::steady_clock;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kConnectLimit{5'000};
/// More than this waits only when the replica takes nothing.
constexpr std::size_t kMostWaiting = 64;

Result<std::string> read_token(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string token{std::istreambuf_iterator<char>(in), {}};
  if (!in) return Error{"token file " + file + ": cannot be read"};
  token.erase(token.find_last_not_of(" \r\n\t") + 1);
  if (token.empty()) return Error{"token file " + file + ": is empty"};
  return token;
}

}  // namespace

Result<void> check_ca(const std::string& pem) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  boost::system::error_code error;
  context.add_certificate_authority(asio::buffer(pem), error);
  if (error) return Error{"the registry's CA is no PEM certificate: " + error.message()};
  return {};
}

Link::Link(asio::any_io_executor executor, const ClientConfig& config, session::Endpoint replica)
    : executor_(std::move(executor)),
      config_(config),
      replica_(std::move(replica)),
      watch_timer_(executor_) {}

Result<void> Link::prepare_tls(const std::string& ca) {
  const std::string& name =
      config_.server_name.empty() ? config_.registry.host : config_.server_name;
  tls_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
  boost::system::error_code error;
  tls_->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                        asio::ssl::context::no_tlsv1_1,
                    error);
  if (!error) tls_->add_certificate_authority(asio::buffer(ca), error);
  if (error) return Error{"CA: " + error.message()};
  stream_ = std::make_unique<Stream>(executor_, *tls_);
  auto& secured = stream_->next_layer();
  secured.set_verify_mode(asio::ssl::verify_peer, error);
  if (!error) secured.set_verify_callback(asio::ssl::host_name_verification(name), error);
  if (error) return Error{"certificate check: " + error.message()};
  // A server name is a name: addresses are not sent (RFC 6066, 3).
  if (!net::IpAddress::parse(name)) {
    std::string copy = name;
    SSL_ctrl(secured.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             copy.data());
  }
  return {};
}

asio::awaitable<Result<void>> Link::connect(const std::string& ca, const session::Exclude& exclude,
                                            LinkEnd& end) {
  end = {"connect", {}};
  auto fd = co_await session::dial_tcp(executor_, replica_, exclude, kConnectLimit, &interruption_);
  if (!fd) co_return fd.error();
  end.kind = "handshake";
  if (auto prepared = prepare_tls(ca); !prepared) co_return prepared;
  auto& lowest = beast::get_lowest_layer(*stream_);
  boost::system::error_code failure;
  lowest.socket().assign(replica_.protocol(), fd->release().release(), failure);
  if (failure) co_return Error{"socket: " + failure.message()};
  lowest.expires_after(kConnectLimit);
  auto [tls_error] =
      co_await stream_->next_layer().async_handshake(asio::ssl::stream_base::client, kTuple);
  if (tls_error) co_return Error{"TLS handshake: " + tls_error.message()};
  // From here on the WebSocket keeps the time.
  lowest.expires_never();
  websocket::stream_base::timeout timeout;
  timeout.handshake_timeout = kConnectLimit;
  // Beast's own pings may outlive the stream that they are written to: see watch().
  timeout.idle_timeout = websocket::stream_base::none();
  stream_->set_option(timeout);
  stream_->read_message_max(kMostMessageBytes);
  std::string token;
  if (!config_.token_file.empty()) {
    auto read = read_token(config_.token_file);
    if (!read) co_return read.error();
    token = std::move(*read);
  }
  stream_->set_option(websocket::stream_base::decorator([&token](websocket::request_type& request) {
    request.set(http::field::user_agent, "sidetap/" SIDETAP_VERSION);
    if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
  }));
  websocket::response_type response;
  const std::string path(kPath);
  const std::string host = config_.registry.to_string();
  auto [upgrade_error] = co_await stream_->async_handshake(response, host, path, kTuple);
  if (upgrade_error == websocket::error::upgrade_declined) {
    end.kind = "refused";
    co_return Error{"the registry answers " + std::to_string(response.result_int()) + " " +
                    std::string(response.reason())};
  }
  if (upgrade_error) co_return Error{"WebSocket handshake: " + upgrade_error.message()};
  co_return Result<void>{};
}

asio::awaitable<LinkEnd> Link::run(std::string ca, const session::Exclude& exclude,
                                   const std::function<std::string()>& hello,
                                   const std::function<bool(Message)>& on_message) {
  const auto alive = shared_from_this();
  LinkEnd end;
  auto connected = co_await connect(ca, exclude, end);
  if (!connected) {
    end.text = connected.error().text;
    co_return end;
  }
  open_ = true;
  heard_ = pinged_ = Clock::now();
  // Not before: what it says must be what holds now.
  send(hello());
  watch();
  if (interruption_.requested()) close();
  end = co_await read(on_message);
  open_ = false;
  watch_timer_.cancel();
  boost::system::error_code ignored;
  beast::get_lowest_layer(*stream_).socket().close(ignored);
  co_return end;
}

asio::awaitable<LinkEnd> Link::read(const std::function<bool(Message)>& on_message) {
  beast::flat_buffer buffer;
  stream_->control_callback(
      [this](websocket::frame_type, beast::string_view) { heard_ = Clock::now(); });
  for (;;) {
    auto [error, size] = co_await stream_->async_read(buffer, kTuple);
    if (error) co_return lost(error);
    heard_ = Clock::now();
    const auto bytes = buffer.cdata();
    auto message = parse_message({static_cast<const char*>(bytes.data()), bytes.size()});
    if (!message) co_return LinkEnd{"malformed", message.error().text, heard_};
    // A snapshot is large and rare: its room is given back.
    buffer.consume(size);
    buffer.shrink_to_fit();
    if (const auto* refused = std::get_if<Refused>(&*message)) {
      co_return LinkEnd{"refused", refused->reason, heard_};
    }
    if (!on_message(std::move(*message))) co_return LinkEnd{"lost", "not wanted any more", heard_};
  }
}

LinkEnd Link::lost(const boost::system::error_code& error) const {
  if (silent_) return {"lost", "the registry is silent", heard_};
  // The kernel has waited in vain for the other end.
  if (error == asio::error::timed_out || error == asio::error::host_unreachable ||
      error == asio::error::network_unreachable) {
    return {"lost", error.message(), heard_};
  }
  if (error == websocket::error::closed) {
    return {"lost", "the registry closed the connection", Clock::now()};
  }
  return {"lost", error.message(), Clock::now()};
}

void Link::send(std::string text) {
  if (!open_) return;
  if (outbox_.size() >= kMostWaiting) return close();
  outbox_.push_back(std::move(text));
  start_writing();
}

/// Pings so often that the other side never finds this one silent, and ends the connection when the
/// other side is.
void Link::watch() {
  const auto silent_at = heard_ + config_.silence;
  const auto ping_at = pinged_ + config_.silence / 2;
  watch_timer_.expires_at(std::min(silent_at, ping_at));
  watch_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self || !self->open_) return;
    const auto now = Clock::now();
    if (now - self->heard_ >= self->config_.silence) {
      self->silent_ = true;
      return self->close();
    }
    if (now - self->pinged_ >= self->config_.silence / 2) {
      self->pinged_ = now;
      self->ping_due_ = true;
      self->start_writing();
    }
    self->watch();
  });
}

void Link::start_writing() {
  if (!std::exchange(writing_, true)) asio::co_spawn(executor_, write(), asio::detached);
}

asio::awaitable<void> Link::write() {
  const auto alive = shared_from_this();
  boost::system::error_code error;  // the read tells why
  while (!error && open_ && (ping_due_ || !outbox_.empty())) {
    if (std::exchange(ping_due_, false)) {
      std::tie(error) = co_await stream_->async_ping({}, kTuple);
      continue;
    }
    const std::string text = std::move(outbox_.front());
    outbox_.pop_front();
    std::tie(error, std::ignore) = co_await stream_->async_write(asio::buffer(text), kTuple);
  }
  writing_ = false;
}

void Link::close() {
  interruption_.request();
  if (!stream_) return;
  beast::get_lowest_layer(*stream_).cancel();
  boost::system::error_code ignored;
  if (open_) beast::get_lowest_layer(*stream_).socket().close(ignored);
}

}  // namespace sidetap::registry
