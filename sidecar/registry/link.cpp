#include "sidecar/registry/link.h"

#include <algorithm>
#include <utility>

#include <boost/asio/ssl/error.hpp>
#include <openssl/x509_vfy.h>

#include "shared/http/tls_context.h"
#include "shared/kube/credentials.h"
#include "shared/registry/codec.h"

namespace sidetap::registry {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kConnectLimit{5'000};
/// More messages wait only if the replica accepts nothing.
constexpr std::size_t kMostWaiting = 64;

/// What is wrong with the certificate, with the remedy if there is one; empty if unknown.
std::string doubt_of_certificate(long fault) {
  switch (fault) {
    case X509_V_OK:
      return {};
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return std::string(": ") + X509_verify_cert_error_string(fault) +
             "; the registry has another CA than when this pod was made: restart this pod's "
             "workload";
    default:
      return std::string(": ") + X509_verify_cert_error_string(fault);
  }
}

}  // namespace

Result<void> check_ca(const std::string& pem) {
  auto trust = http::TlsTrust::make(pem);
  if (!trust) return Error{"the registry's CA is not usable: " + trust.error().text};
  return {};
}

Link::Link(async::TaskGroup& tasks, asio::any_io_executor executor, const ClientConfig& config,
           session::Endpoint replica)
    : tasks_(tasks),
      executor_(std::move(executor)),
      config_(config),
      replica_(std::move(replica)),
      watch_timer_(executor_) {}

Error Link::failed(std::string_view step, const boost::system::error_code& error) const {
  return Error{std::string(step) + ": " + (late_ ? "timed out" : error.message())};
}

asio::awaitable<Result<void>> Link::connect(const std::string& ca, const session::Exclude& exclude,
                                            LinkEnd& end) {
  end = {"connect", {}};
  auto fd = co_await session::dial_tcp(executor_, replica_, exclude, kConnectLimit, &interruption_);
  if (!fd) co_return fd.error();
  end.kind = "handshake";
  const auto trust = http::TlsTrust::make(ca);
  if (!trust) co_return Error{"CA: " + trust.error().text};
  asio::ip::tcp::socket connection(executor_);
  boost::system::error_code failure;
  connection.assign(replica_.protocol(), fd->release().release(), failure);
  if (failure) co_return Error{"socket: " + failure.message()};
  socket_ = std::make_unique<http::WebSocket>(
      std::move(connection), **trust,
      config_.server_name.empty() ? config_.registry.host : config_.server_name,
      http::WebSocketLimits{.message_bytes = kMostRegistryMessageBytes,
                            .handshake_timeout = kConnectLimit});
  watch_timer_.expires_after(kConnectLimit);
  watch_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self) return;
    self->late_ = true;
    self->socket_->tls().cut();
  });
  auto upgraded = co_await upgrade(end);
  watch_timer_.cancel();
  co_return upgraded;
}

asio::awaitable<Result<void>> Link::upgrade(LinkEnd& end) {
  const boost::system::error_code error = co_await socket_->tls().handshake();
  if (error) {
    end.unverified = error.category() == asio::error::get_ssl_category();
    co_return Error{failed("TLS handshake", error).text +
                    doubt_of_certificate(socket_->tls().verify_result())};
  }
  std::string token;
  if (config_.token || !config_.token_file.empty()) {
    auto read = config_.token ? config_.token() : kube::read_token(config_.token_file);
    if (!read) co_return read.error();
    token = std::move(*read);
  }
  const auto answer =
      co_await socket_->upgrade(config_.registry.to_string(), std::string(kPath), token);
  if (answer.status != 0) {
    end.kind = "refused";
    co_return Error{"the registry answers " + std::to_string(answer.status) + " " + answer.reason};
  }
  if (answer.error) co_return failed("WebSocket handshake", answer.error);
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
  pinged_ = Clock::now();
  // Not earlier: hello must describe the current state.
  send(hello());
  watch();
  if (interruption_.requested()) close();
  try {
    end = co_await read(on_message);
  } catch (...) {
    end_connection();
    throw;
  }
  end_connection();
  co_return end;
}

void Link::end_connection() {
  open_ = false;
  watch_timer_.cancel();
  socket_->tls().cut();
}

asio::awaitable<LinkEnd> Link::read(const std::function<bool(Message)>& on_message) {
  for (;;) {
    std::string text;
    const boost::system::error_code error = co_await socket_->read(text);
    if (error) co_return lost(error);
    auto message = decode_registry_message(text);
    if (!message) {
      co_return LinkEnd{"malformed", "registry: " + message.error().text, socket_->heard()};
    }
    if (const auto* refused = std::get_if<Refused>(&*message)) {
      co_return LinkEnd{"refused", refused->reason, socket_->heard()};
    }
    if (!on_message(std::move(*message))) {
      co_return LinkEnd{"lost", "no longer wanted", socket_->heard()};
    }
  }
}

LinkEnd Link::lost(const boost::system::error_code& error) const {
  if (silent_) return {"lost", "the registry is silent", socket_->heard()};
  // The kernel has timed out waiting for the peer.
  if (error == asio::error::timed_out || error == asio::error::host_unreachable ||
      error == asio::error::network_unreachable) {
    return {"lost", error.message(), socket_->heard()};
  }
  if (http::WebSocket::is_closed(error)) {
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

/// Sends pings often enough that the peer never considers this side silent, and ends the connection
/// if the peer is silent.
void Link::watch() {
  const auto silent_at = socket_->heard() + config_.silence;
  const auto ping_at = pinged_ + config_.silence / 2;
  watch_timer_.expires_at(std::min(silent_at, ping_at));
  watch_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self || !self->open_) return;
    const auto now = Clock::now();
    if (now - self->socket_->heard() >= self->config_.silence) {
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
  if (std::exchange(writing_, true)) return;
  tasks_.spawn("registry-write", write(), [self = shared_from_this()](const Result<void>& outcome) {
    // The replica gets what it has missed on the next connection.
    if (!outcome) self->close();
  });
}

asio::awaitable<void> Link::write() {
  const auto alive = shared_from_this();
  boost::system::error_code error;  // the read reports the cause
  while (!error && open_ && (ping_due_ || !outbox_.empty())) {
    if (std::exchange(ping_due_, false)) {
      error = co_await socket_->ping();
      continue;
    }
    const std::string text = std::move(outbox_.front());
    outbox_.pop_front();
    error = co_await socket_->write(text);
  }
  writing_ = false;
}

void Link::close() {
  interruption_.request();
  if (socket_) socket_->tls().cut();
}

}  // namespace sidetap::registry
