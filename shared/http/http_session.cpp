#include "shared/http/http_session.h"

#include <algorithm>
#include <exception>
#include <span>
#include <string_view>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>
#include <poll.h>

#include "shared/http/answer_head.h"
#include "shared/telemetry/log.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using Field = beast::http::field;
using HttpError = beast::http::error;
using Want = TlsStep::Want;
using ErrorCode = boost::system::error_code;

/// One TLS record of the largest size.
constexpr std::size_t kBufferBytes = 16u << 10;
/// Overhead of a request besides its bytes: coroutines and the parser.
constexpr std::size_t kRequestBytes = 1u << 10;
/// What OpenSSL holds while a record is incomplete or waits to be sent.
constexpr std::size_t kRecordBytes = 17u << 10;
/// What Beast holds for a field besides its text.
constexpr std::size_t kFieldBytes = 96;
constexpr std::size_t kMostLingerBytes = 16u << 20;
constexpr auto kLinger = std::chrono::seconds(2);
/// Time for a request on a connection that is new when the server stops.
constexpr auto kLastChance = std::chrono::seconds(1);
/// Reads or requests that a connection may have in a row.
constexpr unsigned kTurns = 64;
constexpr std::size_t kMostLogged = 200;

bool readable(asio::ip::tcp::socket& socket) {
  pollfd descriptor{socket.native_handle(), POLLIN, 0};
  return ::poll(&descriptor, 1, 0) > 0;
}

/// One read buffer per thread, from which sessions copy what arrived. No session waits with bytes
/// in it, so a waiting session holds only the bytes that it has received.
std::span<char> landing() {
  thread_local const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  return {buffer.get(), kBufferBytes};
}

}  // namespace

HttpSession::HttpSession(asio::ip::tcp::socket socket, const TlsContext& tls, SessionShared& shared)
    : shared_(shared), memory_(shared.budget), stream_(std::move(socket), tls) {
  enter(Phase::kHandshake, shared_.limits.handshake);
}

void HttpSession::enter(Phase phase, std::chrono::milliseconds limit) {
  if (phase == Phase::kIdle) idle_since_ = Clock::now();
  phase_ = phase;
  deadline_ = Clock::now() + limit;
}

void HttpSession::sweep(Clock::time_point now) {
  if (phase_ == Phase::kIdle && shared_.draining &&
      now >= idle_since_ + shared_.limits.drain_idle) {
    return end_if_idle();
  }
  if (now < deadline_) return;
  if (phase_ != Phase::kIdle && phase_ != Phase::kLinger) ++shared_.counters.timeouts;
  deadline_ = Clock::time_point::max();
  stream_.cut();
}

void HttpSession::end_if_idle() {
  if (phase_ == Phase::kIdle) stream_.cancel();
}

asio::awaitable<void> HttpSession::run() {
  if (const ErrorCode error = co_await stream_.handshake()) {
    // A peer that connects and leaves without sending is a port scanner or a health check.
    if (error != asio::error::eof) ++shared_.counters.handshake_failures;
    co_return;
  }
  while (co_await serve_one()) {
  }
}

bool HttpSession::others_turn() {
  turns_ = (turns_ + 1) % kTurns;
  return turns_ == 0;
}

TlsStep HttpSession::read_step() {
  const auto into = landing().first(kBufferBytes - bytes_.size());
  const TlsStep step = stream_.read_step(into);
  bytes_.append(into.data(), step.bytes);
  return step;
}

bool HttpSession::charge() {
  return memory_.hold(kRequestBytes + bytes_.capacity() + parsed_bytes_ +
                      (stream_.has_pending() ? kRecordBytes : 0));
}

asio::awaitable<bool> HttpSession::first_bytes() {
  if (!bytes_.empty()) co_return true;  // the next request came with the last one
  enter(Phase::kIdle, shared_.stopping ? kLastChance : shared_.limits.idle);
  memory_.hold(0);
  // Checked only once: an incomplete record also counts as pending, and its rest needs a wait.
  Want want = stream_.has_pending() ? Want::kNothing : Want::kRead;
  for (;;) {
    if (want != Want::kNothing) {
      const ErrorCode error = co_await stream_.wait(want);
      // Asked to end, unless a request has just arrived.
      if (error && !readable(stream_.socket())) {
        stream_.shutdown();
        co_return false;
      }
    }
    const TlsStep step = read_step();
    if (step.error) co_return false;
    if (step.bytes > 0) co_return true;
    want = step.want;
    if (phase_ == Phase::kIdle && stream_.has_pending()) {
      // A request has begun, although none of its bytes can be read yet.
      enter(Phase::kRequest, shared_.limits.header);
      if (!charge()) {
        ++shared_.counters.overloaded;
        co_return false;
      }
    }
  }
}

asio::awaitable<bool> HttpSession::more_bytes(std::optional<Refusal>& refusal) {
  if (others_turn()) co_await asio::post(stream_.socket().get_executor(), asio::use_awaitable);
  for (;;) {
    const TlsStep step = read_step();
    if (step.error) co_return false;
    if (step.bytes > 0) co_return true;
    if (!charge()) {
      refusal = overload();
      co_return false;
    }
    if (co_await stream_.wait(step.want)) co_return false;
  }
}

namespace {

/// Whether a field's value in this header continues on the next line. This is obsolete (RFC 9112,
/// 5.2). Parsers that do not support it see different fields, including those that frame the body.
bool is_folded(std::string_view header) {
  return header.find("\r\n ") != header.npos || header.find("\r\n\t") != header.npos;
}

}  // namespace

std::optional<HttpSession::Refusal> HttpSession::parse(Parser& parser) {
  ErrorCode error;
  const bool in_header = !parser.is_header_done();
  const std::size_t used = parser.put(asio::buffer(bytes_), error);
  if (in_header && is_folded(std::string_view(bytes_).substr(0, used))) {
    return Refusal{400, "a field that goes on in the next line"};
  }
  if (used == bytes_.size()) {
    bytes_ = std::string();
  } else {
    bytes_.erase(0, used);
  }
  if (error == HttpError::need_more) {
    if (bytes_.size() < kBufferBytes) return std::nullopt;
    return Refusal{431, "a line of the header is too long"};
  }
  if (!error) return std::nullopt;
  if (error == HttpError::body_limit) {
    return Refusal{
        413, "the body is larger than " + std::to_string(shared_.limits.body_bytes) + " bytes"};
  }
  if (error == HttpError::header_limit) return Refusal{431, "the header is too large"};
  return Refusal{400, error.message()};
}

namespace {

std::size_t field_bytes(const beast::http::fields& fields) {
  std::size_t bytes = 0;
  for (const auto& field : fields) {
    bytes += kFieldBytes + field.name_string().size() + field.value().size();
  }
  return bytes;
}

/// Finds what Beast accepts but a proxy in front may interpret differently.
const char* ambiguity(const beast::http::request_parser<beast::http::string_body>& parser) {
  const auto& request = parser.get();
  const bool coded = request.count(Field::transfer_encoding) > 0;
  if (coded && request.version() < 11) return "Transfer-Encoding in HTTP/1.0";
  if (coded && request.count(Field::content_length) > 0) {
    return "both Transfer-Encoding and Content-Length";
  }
  if (request.count(Field::transfer_encoding) > 1 || request.count(Field::content_length) > 1) {
    return "more than one length";
  }
  const auto length = request[Field::content_length];
  if (length.find_first_not_of("0123456789") != beast::string_view::npos) {
    return "a Content-Length that is no number";
  }
  if (coded && !beast::iequals(request[Field::transfer_encoding], "chunked")) {
    return "a Transfer-Encoding other than chunked";
  }
  if (request.count(Field::host) > 1) return "more than one Host";
  if (request.version() >= 11 && request.count(Field::host) == 0) return "no Host";
  return nullptr;
}

}  // namespace

HttpSession::Refusal HttpSession::overload() {
  return Refusal{503, "too much is under way: try again"};
}

asio::awaitable<bool> HttpSession::read_request(Parser& parser, std::optional<Refusal>& refusal) {
  enter(Phase::kRequest, shared_.limits.header);
  bool header_seen = false;
  std::size_t header_bytes = 0;
  for (;;) {
    refusal = parse(parser);
    const bool header_new = !header_seen && parser.is_header_done();
    if (header_new) header_bytes = field_bytes(parser.get());
    parsed_bytes_ = header_bytes + parser.get().body().size();
    if (!refusal && !charge()) refusal = overload();
    if (refusal) co_return false;
    if (header_new) {
      header_seen = true;
      parser.eager(true);
      enter(Phase::kRequest, shared_.limits.body);
      if (const char* why = ambiguity(parser)) {
        refusal = Refusal{400, why};
        co_return false;
      }
      const auto expect = parser.get()[Field::expect];
      if (!expect.empty() && !beast::iequals(expect, "100-continue")) {
        refusal = Refusal{417, "an expectation other than 100-continue"};
        co_return false;
      }
      if (!expect.empty() && !parser.is_done()) {
        constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        if (co_await stream_.write(kContinue)) co_return false;
      }
      // Parse what came with the header before reading more.
      if (!bytes_.empty() && !parser.is_done()) continue;
    }
    if (parser.is_done()) co_return true;
    if (!co_await more_bytes(refusal)) co_return false;
  }
}

HttpAnswer HttpSession::handle(Parser& parser) {
  auto request = parser.release();
  const auto target = request.target();
  const auto type = request[Field::content_type];
  try {
    return shared_.handler({request.method(),
                            {target.data(), target.size()},
                            {type.data(), type.size()},
                            std::move(request.body())});
  } catch (const std::exception& fault) {
    if (const auto kept_back = shared_.faults.admit())
      telemetry::error("a request failed", {{"reason", fault.what()}, {"not_logged", *kept_back}});
    return {500, "text/plain; charset=utf-8", {}, "internal error\n"};
  }
}

HttpAnswer HttpSession::refuse(Refusal refusal) {
  HttpAnswer answer;
  answer.status = refusal.status;
  answer.body = std::move(refusal.reason) + "\n";
  return answer;
}

/// The body of every error answer is its reason, as a line of text.
void HttpSession::log_refusal(const HttpAnswer& answer) {
  const auto kept_back = shared_.refusals.admit();
  if (!kept_back) return;
  ErrorCode ignored;
  const auto peer = stream_.socket().remote_endpoint(ignored);
  const std::string_view reason = answer.body;
  telemetry::warn("request refused",
                  {{"status", answer.status},
                   {"reason", reason.substr(0, std::min(reason.find('\n'), kMostLogged))},
                   {"peer", peer.address().to_string()},
                   {"not_logged", *kept_back}});
}

asio::awaitable<std::optional<HttpSession::Reply>> HttpSession::reply_to_next() {
  Parser parser;
  parser.header_limit(shared_.limits.header_bytes);
  parser.body_limit(shared_.limits.body_bytes);
  std::optional<Refusal> refusal;
  const bool complete = co_await read_request(parser, refusal);
  Reply reply{{}, parser.get().method() == beast::http::verb::head, true};
  if (complete) {
    const bool keep = parser.keep_alive();
    reply.answer = handle(parser);
    reply.close = !keep || shared_.draining;
  } else {
    ++(refusal && refusal->status == 503 ? shared_.counters.overloaded
                                         : shared_.counters.bad_requests);
    if (!refusal) co_return std::nullopt;
    reply.answer = refuse(std::move(*refusal));
  }
  if (reply.answer.status >= 400) log_refusal(reply.answer);
  co_return reply;
}

asio::awaitable<bool> HttpSession::serve_one() {
  if (others_turn()) co_await asio::post(stream_.socket().get_executor(), asio::use_awaitable);
  if (!co_await first_bytes()) co_return false;
  struct InFlight {
    explicit InFlight(std::atomic<std::int64_t>& gauge) : gauge_(gauge) { ++gauge_; }
    ~InFlight() { --gauge_; }
    std::atomic<std::int64_t>& gauge_;
  } const in_flight(shared_.counters.in_flight);

  const std::optional<Reply> reply = co_await reply_to_next();
  if (!reply) co_return false;
  // The request and its body have been freed.
  parsed_bytes_ = 0;
  co_return co_await answer(*reply);
}

asio::awaitable<bool> HttpSession::answer(const Reply& reply) {
  enter(Phase::kAnswer, shared_.limits.write);
  std::string text = head_of(reply.answer, reply.close);
  if (!reply.head_only) text.append(reply.answer.body);
  // For a client that does not read the answer. Without room in the budget, the answer is sent
  // anyway, because it already exists.
  memory_.hold(kRequestBytes);
  memory_.hold(kRequestBytes + kRecordBytes + bytes_.capacity() + text.size());
  if (co_await stream_.write(text)) co_return false;
  if (reply.close) co_await linger();
  co_return !reply.close;
}

/// Closing with unread bytes would reset the connection and might discard the answer. Instead, shut
/// down the sending direction and read what the peer still sends.
asio::awaitable<void> HttpSession::linger() {
  enter(Phase::kLinger, kLinger);
  stream_.shutdown();
  auto& socket = stream_.socket();
  for (std::size_t dropped = 0; dropped < kMostLingerBytes;) {
    ErrorCode error;
    const auto into = landing();
    dropped += socket.read_some(asio::buffer(into.data(), into.size()), error);
    if (error == asio::error::would_block) error = co_await stream_.wait(Want::kRead);
    if (error) co_return;
  }
}

}  // namespace sidetap::http
