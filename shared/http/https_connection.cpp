#include "shared/http/https_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "shared/async/tuple.h"
#include "shared/http/tls_stream.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using ErrorCode = boost::system::error_code;

/// A body type for Beast: the bytes that have arrived but were not returned yet. Reserves no
/// memory, because a server may announce any length.
struct Arrived {
  using value_type = std::string;
  class reader {
   public:
    template <bool kIsRequest, typename Fields>
    reader(beast::http::header<kIsRequest, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>&, ErrorCode& error) { error = {}; }
    template <typename Buffers>
    std::size_t put(const Buffers& buffers, ErrorCode& error) {
      error = {};
      const std::size_t before = body_.size();
      for (const asio::const_buffer buffer : beast::buffers_range_ref(buffers)) {
        body_.append(static_cast<const char*>(buffer.data()), buffer.size());
      }
      return body_.size() - before;
    }
    void finish(ErrorCode& error) { error = {}; }

   private:
    value_type& body_;
  };
};
using Parser = beast::http::response_parser<Arrived>;

/// Size of one read.
constexpr std::size_t kChunkBytes = 16u << 10;
constexpr std::uint32_t kMostHeadBytes = 8u << 10;
/// Most bytes that may await parsing: the head, or the head of a chunk.
constexpr std::size_t kMostUnparsed = kMostHeadBytes + kChunkBytes;

/// A server may be silent for long, and one that has vanished is silent forever. TCP keep-alive
/// ends the connection after about 25 s.
void notice_dead_peer(int socket) {
  const int on = 1, idle_seconds = 10, between_seconds = 5, probes = 3;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &between_seconds, sizeof between_seconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/// A line break would start another field or another request.
bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

Result<void> check(const HttpsRequest& request) {
  if (!is_one_line(request.method) || request.method.find(' ') != std::string_view::npos) {
    return Error{"request: the method holds a space or a control character"};
  }
  if (!request.target.starts_with('/') || !is_one_line(request.target) ||
      request.target.find(' ') != std::string_view::npos) {
    return Error{
        "request: the target does not start with / or holds a space or a control character"};
  }
  if (!is_one_line(request.host) || !is_one_line(request.content_type)) {
    return Error{"request: the host or the content type holds a control character"};
  }
  // The text omits the token, because errors are logged.
  if (!is_one_line(request.token)) return Error{"request: the token holds a control character"};
  return {};
}

std::string text_of(const HttpsRequest& request) {
  std::string text;
  text.reserve(512 + request.target.size() + request.token.size() + request.body.size());
  text.append(request.method).append(" ").append(request.target).append(" HTTP/1.1");
  text.append("\r\nHost: ").append(request.host);
  text.append("\r\nUser-Agent: sidetap/" SIDETAP_VERSION "\r\nAccept: application/json");
  if (!request.token.empty()) text.append("\r\nAuthorization: Bearer ").append(request.token);
  if (!request.content_type.empty()) {
    text.append("\r\nContent-Type: ").append(request.content_type);
    text.append("\r\nContent-Length: ").append(std::to_string(request.body.size()));
  }
  text.append("\r\n\r\n").append(request.body);
  return text;
}

}  // namespace

/// Every operation shares ownership, so that socket, session and parser outlive pending waits.
struct HttpsConnection::Impl : std::enable_shared_from_this<Impl> {
  explicit Impl(const asio::any_io_executor& executor) : socket(executor), timer(executor) {}

  tcp::socket socket;  // until the TLS stream takes it
  std::optional<TlsStream> tls;
  asio::steady_timer timer;
  std::optional<Parser> parser;
  std::string unparsed;
  bool opened = false;
  bool under_way = false;
  bool late = false;
  bool cut = false;
  bool answered = false;
  bool too_long = false;

  /// Exists while an operation runs. However the operation ends, no time limit remains.
  class Operation {
   public:
    explicit Operation(Impl& impl) : impl_(impl) { impl_.under_way = true; }
    ~Operation() {
      impl_.timer.cancel();
      impl_.under_way = false;
    }
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

    /// Ends the connection unless, within `limit`, the operation ends or sets a limit for its next
    /// step.
    void expires_after(Milliseconds limit) {
      impl_.late = false;
      impl_.timer.expires_after(limit);
      impl_.timer.async_wait([weak = impl_.weak_from_this()](const ErrorCode& error) {
        const auto self = weak.lock();
        // A wait that had already ended when the limit was set again completes without an error.
        if (error || !self || !self->under_way || self->timer.expiry() > Clock::now()) return;
        self->late = true;
        self->end();
      });
    }

   private:
    Impl& impl_;
  };

  bool reusable() const {
    return !cut && parser && parser->is_done() && parser->keep_alive() && unparsed.empty();
  }
  /// The rest of the last answer must not be taken for an answer to the next request.
  bool can_ask() const { return opened && !under_way && (!parser || reusable()); }

  void end() {
    ErrorCode ignored;
    if (tls) {
      tls->cut();
    } else {
      socket.close(ignored);
    }
  }

  Error failed(std::string_view step, const ErrorCode& error) const {
    const ErrorCode canceled = asio::error::operation_aborted;
    return Error{std::string(step) + ": " +
                 (cut    ? canceled.message()
                  : late ? "timed out"
                         : error.message())};
  }

  static asio::awaitable<Result<void>> open(std::shared_ptr<Impl> self,
                                            std::vector<tcp::endpoint> servers,
                                            std::shared_ptr<const TlsTrust> trust, std::string name,
                                            Milliseconds limit);
  static asio::awaitable<Result<unsigned>> ask(std::shared_ptr<Impl> self, Result<std::string> text,
                                               std::optional<std::uint64_t> most_body,
                                               Milliseconds limit);
  static asio::awaitable<Result<BodyPiece>> read(std::shared_ptr<Impl> self, Milliseconds limit);
  // Steps of an operation.
  asio::awaitable<Result<void>> receive();
  asio::awaitable<Result<void>> advance();
};

asio::awaitable<Result<void>> HttpsConnection::Impl::open(std::shared_ptr<Impl> self,
                                                          std::vector<tcp::endpoint> servers,
                                                          std::shared_ptr<const TlsTrust> trust,
                                                          std::string name, Milliseconds limit) {
  if (self->under_way || self->tls) co_return Error{"connect: open already"};
  Operation operation(*self);
  ErrorCode error = asio::error::not_found;
  for (const tcp::endpoint& server : servers) {
    if (self->cut) break;
    self->socket = tcp::socket(self->socket.get_executor());
    operation.expires_after(limit);
    const auto [refused] = co_await self->socket.async_connect(server, async::kTuple);
    error = refused;
    if (!error) break;
  }
  if (error || self->cut) co_return self->failed("connect", error);
  notice_dead_peer(self->socket.native_handle());
  self->tls.emplace(std::move(self->socket), *trust, name);
  operation.expires_after(limit);
  error = co_await self->tls->handshake();
  if (error || self->cut) co_return self->failed("TLS handshake", error);
  self->opened = true;
  co_return Result<void>{};
}

asio::awaitable<Result<unsigned>> HttpsConnection::Impl::ask(std::shared_ptr<Impl> self,
                                                             Result<std::string> text,
                                                             std::optional<std::uint64_t> most_body,
                                                             Milliseconds limit) {
  if (!text) co_return text.error();
  if (!self->can_ask()) co_return Error{"write: not open, or the last answer is not complete"};
  Operation operation(*self);
  self->answered = false;
  self->too_long = false;
  self->parser.emplace();
  self->parser->header_limit(kMostHeadBytes);
  // Set it before the head is read: Beast checks Content-Length against the limit only there.
  self->parser->body_limit(most_body ? boost::optional<std::uint64_t>(*most_body) : boost::none);
  operation.expires_after(limit);
  const ErrorCode error = co_await self->tls->write(*text);
  if (error || self->cut) co_return self->failed("write", error);
  operation.expires_after(limit);
  while (!self->parser->is_header_done()) {
    auto advanced = co_await self->advance();
    if (!advanced) co_return advanced.error();
  }
  self->parser->eager(true);
  co_return self->parser->get().result_int();
}

asio::awaitable<Result<BodyPiece>> HttpsConnection::Impl::read(std::shared_ptr<Impl> self,
                                                               Milliseconds limit) {
  if (self->under_way || !self->parser || !self->parser->is_header_done()) {
    co_return Error{"read: no request was sent"};
  }
  Operation operation(*self);
  operation.expires_after(limit);
  while (self->parser->get().body().empty() && !self->parser->is_done()) {
    auto advanced = co_await self->advance();
    if (!advanced) co_return advanced.error();
  }
  co_return BodyPiece{std::exchange(self->parser->get().body(), {}), self->parser->is_done()};
}

/// Reads from the connection once. The end of the connection ends an answer of unknown length.
asio::awaitable<Result<void>> HttpsConnection::Impl::receive() {
  std::array<char, kChunkBytes> chunk;
  for (;;) {
    const TlsStep step = tls->read_step(chunk);
    if (step.bytes > 0) {
      unparsed.append(chunk.data(), step.bytes);
      answered = true;
      co_return Result<void>{};
    }
    ErrorCode error = step.error;
    if (error == asio::error::eof && !cut && parser->is_header_done() && tls->ended_in_order()) {
      error = {};
      parser->put_eof(error);
      if (!error) co_return Result<void>{};
    }
    if (!error) error = co_await tls->wait(step.want);
    if (error || cut || late) co_return failed("read", error);
  }
}

/// Parses more of the answer, from bytes that have arrived or from the next read.
asio::awaitable<Result<void>> HttpsConnection::Impl::advance() {
  if (unparsed.empty()) {
    auto received = co_await receive();
    if (!received || parser->is_done()) co_return received;
  }
  ErrorCode error;
  const std::size_t used = parser->put(asio::buffer(unparsed), error);
  unparsed.erase(0, used);
  if (error == beast::http::error::need_more && unparsed.size() <= kMostUnparsed) error = {};
  too_long = error == beast::http::error::body_limit;
  if (error) co_return failed("read", error);
  if (used == 0) co_return co_await receive();
  co_return Result<void>{};
}

HttpsConnection::HttpsConnection(asio::any_io_executor executor)
    : impl_(std::make_shared<Impl>(executor)) {}
HttpsConnection::~HttpsConnection() { cut(); }

asio::awaitable<Result<void>> HttpsConnection::open(std::vector<tcp::endpoint> servers,
                                                    std::shared_ptr<const TlsTrust> trust,
                                                    std::string name, Milliseconds limit) {
  return Impl::open(impl_, std::move(servers), std::move(trust), std::move(name), limit);
}

asio::awaitable<Result<unsigned>> HttpsConnection::ask(const HttpsRequest& request,
                                                       std::optional<std::uint64_t> most_body,
                                                       Milliseconds limit) {
  const auto fit = check(request);
  Result<std::string> text = fit ? Result<std::string>(text_of(request)) : fit.error();
  return Impl::ask(impl_, std::move(text), most_body, limit);
}

asio::awaitable<Result<BodyPiece>> HttpsConnection::read(Milliseconds limit) {
  return Impl::read(impl_, limit);
}

bool HttpsConnection::unanswered() const { return !impl_->answered && !impl_->late && !impl_->cut; }
bool HttpsConnection::too_long() const { return impl_->too_long; }
bool HttpsConnection::reusable() const { return impl_->reusable(); }
void HttpsConnection::cut() {
  impl_->cut = true;
  impl_->end();
}

}  // namespace sidetap::http
