#include "shared/kube/client.h"

#include <algorithm>
#include <array>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "shared/async/caught.h"
#include "shared/async/resolve.h"
#include "shared/net/ip_address.h"
#include "shared/read_json.h"

namespace sidetap::kube {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Stream = beast::ssl_stream<beast::tcp_stream>;
using ErrorCode = boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

std::string_view media_type(PatchType type) {
  switch (type) {
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kJson:
      return "application/json-patch+json";
    case PatchType::kApply:
      return "application/apply-patch+yaml";
  }
  return {};
}

std::string text_of(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// What was said elsewhere may be part of it, a token for instance, and need not be UTF-8.
std::string written(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// A watch is silent for long, and a server that has vanished is silent for ever: after some 25 s
/// the connection ends.
void notice_dead_peer(int socket) {
  const int on = 1, idle_seconds = 10, between_seconds = 5, probes = 3;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &between_seconds, sizeof between_seconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

}  // namespace

std::string Response::describe() const {
  std::string text = std::to_string(status);
  if (const auto reason = text_of(body, "reason"); !reason.empty()) text += " " + reason;
  if (const auto message = text_of(body, "message"); !message.empty()) text += ": " + message;
  return text;
}

struct Client::Impl {
  asio::any_io_executor executor;
  Credentials credentials;
  Limits limits;
  // The context outlives the stream that refers to it.
  std::unique_ptr<asio::ssl::context> tls;
  std::unique_ptr<Stream> stream;
  beast::flat_buffer buffer;
  async::Interruption stopping;

  Error failed(const char* step, const ErrorCode& code) const {
    return Error{"API server " + credentials.server.to_string() + ": " + step + ": " +
                 code.message()};
  }

  void drop() {
    stream.reset();
    tls.reset();
    buffer.clear();
  }

  Result<void> make_stream() {
    tls = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
    ErrorCode code;
    tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                         asio::ssl::context::no_tlsv1_1,
                     code);
    if (!code) tls->load_verify_file(credentials.ca_file, code);
    if (code) return failed(("CA file " + credentials.ca_file).c_str(), code);
    stream = std::make_unique<Stream>(executor, *tls);
    stream->set_verify_mode(asio::ssl::verify_peer, code);
    if (!code) {
      stream->set_verify_callback(asio::ssl::host_name_verification(credentials.server.host), code);
    }
    if (code) return failed("certificate check", code);
    // A server name is a name: addresses are not sent (RFC 6066, 3).
    if (!net::IpAddress::parse(credentials.server.host)) {
      // SSL_set_tlsext_host_name is a macro around this call, with casts that are refused here.
      SSL_ctrl(stream->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
               credentials.server.host.data());
    }
    return {};
  }

  asio::awaitable<Result<void>> connect() {
    drop();
    if (auto made = make_stream(); !made) co_return made;
    if (stopping.requested()) co_return failed("connect", asio::error::operation_aborted);
    const auto addresses = co_await async::resolve(executor, credentials.server, &stopping);
    if (stopping.requested()) co_return failed("connect", asio::error::operation_aborted);
    if (!addresses) co_return Error{"API server: " + addresses.error().text};
    auto& socket = beast::get_lowest_layer(*stream);
    socket.expires_after(limits.timeout);
    auto [connect_error, endpoint] = co_await socket.async_connect(*addresses, kTuple);
    if (connect_error) co_return failed("connect", connect_error);
    notice_dead_peer(socket.socket().native_handle());
    socket.expires_after(limits.timeout);
    auto [handshake_error] =
        co_await stream->async_handshake(asio::ssl::stream_base::client, kTuple);
    if (handshake_error) co_return failed("TLS handshake", handshake_error);
    co_return Result<void>{};
  }

  Result<http::request<http::string_body>> make_request(http::verb verb, const std::string& path,
                                                        std::string_view content_type,
                                                        std::string body) const {
    http::request<http::string_body> request(verb, path, 11);
    request.set(http::field::host, credentials.server.to_string());
    request.set(http::field::user_agent, "sidetap/" SIDETAP_VERSION);
    request.set(http::field::accept, "application/json");
    if (!credentials.token_file.empty()) {
      const auto token = read_token(credentials.token_file);
      if (!token) return token.error();
      request.set(http::field::authorization, "Bearer " + *token);
    }
    if (verb != http::verb::get) {
      request.set(http::field::content_type, content_type);
      request.body() = std::move(body);
      request.prepare_payload();
    }
    return request;
  }

  /// Writes the request and reads the head of the answer. A kept connection that the server has
  /// closed meanwhile shows itself here, before anything of an answer: then once more on a new one.
  template <typename Parser>
  asio::awaitable<Result<void>> exchange(const http::request<http::string_body>& request,
                                         std::unique_ptr<Parser>& parser,
                                         boost::optional<std::uint64_t> body_limit) {
    for (bool kept = stream != nullptr;; kept = false) {
      if (!kept) {
        if (auto connected = co_await connect(); !connected) co_return connected;
      }
      parser = std::make_unique<Parser>();
      // Before the head is read: a Content-Length over the limit is refused there and nowhere
      // later.
      parser->body_limit(body_limit);
      auto& socket = beast::get_lowest_layer(*stream);
      socket.expires_after(limits.timeout);
      auto [write_error, written] = co_await http::async_write(*stream, request, kTuple);
      if (!write_error) {
        socket.expires_after(limits.timeout);
        auto [read_error, read] =
            co_await http::async_read_header(*stream, buffer, *parser, kTuple);
        if (!read_error) co_return Result<void>{};
        if (!kept) {
          drop();
          co_return failed("read", read_error);
        }
      } else if (!kept) {
        drop();
        co_return failed("write", write_error);
      }
    }
  }

  /// What it throws is an error like others, after which the connection is of no use.
  asio::awaitable<Result<Response>> caught(asio::awaitable<Result<Response>> work) {
    std::exception_ptr fault;
    try {
      co_return co_await std::move(work);
    } catch (...) {
      fault = std::current_exception();
    }
    drop();
    if (async::is_cancellation(fault)) std::rethrow_exception(fault);
    co_return Error{"API server " + credentials.server.to_string() + ": " +
                    async::reason_of(fault)};
  }

  asio::awaitable<Result<Response>> request(http::verb verb, std::string path,
                                            std::string_view content_type, std::string body) {
    return caught(ask(verb, std::move(path), content_type, std::move(body)));
  }

  asio::awaitable<Result<Response>> ask(http::verb verb, std::string path,
                                        std::string_view content_type, std::string body) {
    using Parser = http::response_parser<http::string_body>;
    const auto message = make_request(verb, path, content_type, std::move(body));
    if (!message) co_return message.error();
    std::unique_ptr<Parser> parser;
    if (auto exchanged = co_await exchange(*message, parser, limits.body_bytes); !exchanged) {
      co_return exchanged.error();
    }
    beast::get_lowest_layer(*stream).expires_after(limits.timeout);
    auto [error, count] = co_await http::async_read(*stream, buffer, *parser, kTuple);
    if (error) {
      drop();
      co_return failed("read", error);
    }
    const auto& answer = parser->get();
    Response response{answer.result_int(), nullptr};
    if (!answer.body().empty()) {
      auto json = read_json(answer.body());
      // Proxies in between answer in HTML; what counts then is the status.
      if (json) {
        response.body = std::move(*json);
      } else if (response.ok()) {
        drop();
        co_return Error{"API server " + credentials.server.to_string() + ": " + path +
                        ": the answer is " + json.error().text};
      }
    }
    if (!answer.keep_alive()) drop();
    co_return response;
  }

  /// Hands on every whole line of `pending`; false when the consumer has had enough.
  static Result<bool> deliver_lines(std::string& pending,
                                    const std::function<bool(const nlohmann::json&)>& each) {
    std::size_t start = 0;
    for (std::size_t end = 0; (end = pending.find('\n', start)) != std::string::npos;
         start = end + 1) {
      const auto event = read_json(std::string_view(pending).substr(start, end - start));
      if (!event) return Error{"API server: a watch event is " + event.error().text};
      if (!event->is_object()) return Error{"API server: a watch event is no object"};
      if (!each(*event)) return false;
    }
    pending.erase(0, start);
    return true;
  }

  asio::awaitable<Result<Response>> watch(std::string path,
                                          std::function<bool(const nlohmann::json&)> each,
                                          std::chrono::milliseconds idle_timeout,
                                          std::function<void()> accepted) {
    return caught(follow(std::move(path), std::move(each), idle_timeout, std::move(accepted)));
  }

  asio::awaitable<Result<Response>> follow(std::string path,
                                           std::function<bool(const nlohmann::json&)> each,
                                           std::chrono::milliseconds idle_timeout,
                                           std::function<void()> accepted) {
    using Parser = http::response_parser<http::buffer_body>;
    const auto message = make_request(http::verb::get, path, {}, {});
    if (!message) co_return message.error();
    std::unique_ptr<Parser> parser;
    if (auto exchanged = co_await exchange(*message, parser, boost::none); !exchanged) {
      co_return exchanged.error();
    }
    const unsigned status = parser->get().result_int();
    if (status == 200 && accepted) accepted();
    std::string pending;
    std::array<char, 16384> chunk{};
    while (!parser->is_done()) {
      parser->get().body().data = chunk.data();
      parser->get().body().size = chunk.size();
      beast::get_lowest_layer(*stream).expires_after(idle_timeout);
      auto [error, count] = co_await http::async_read_some(*stream, buffer, *parser, kTuple);
      if (error && error != http::error::need_buffer) {
        drop();
        co_return failed("watch", error);
      }
      pending.append(chunk.data(), chunk.size() - parser->get().body().size);
      if (pending.size() > limits.body_bytes) {
        drop();
        co_return Error{"API server: a watch event is over " + std::to_string(limits.body_bytes) +
                        " bytes"};
      }
      if (status != 200) continue;  // then it is one Status object, not events
      const auto more = deliver_lines(pending, each);
      if (!more || !*more) {
        drop();  // the rest of the stream is not wanted
        if (!more) co_return more.error();
        co_return Response{status, nullptr};
      }
    }
    Response response{status, nullptr};
    if (status != 200) {
      if (auto json = read_json(pending)) response.body = std::move(*json);
    }
    if (!parser->get().keep_alive()) drop();
    co_return response;
  }
};

Client::Client(asio::any_io_executor executor, Credentials credentials, Limits limits)
    : impl_(std::make_unique<Impl>()) {
  impl_->executor = std::move(executor);
  impl_->credentials = std::move(credentials);
  impl_->limits = limits;
}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

const Credentials& Client::credentials() const { return impl_->credentials; }

asio::awaitable<Result<Response>> Client::get(std::string path) {
  return impl_->request(http::verb::get, std::move(path), {}, {});
}
asio::awaitable<Result<Response>> Client::create(std::string path, nlohmann::json object) {
  return impl_->request(http::verb::post, std::move(path), "application/json", written(object));
}
asio::awaitable<Result<Response>> Client::replace(std::string path, nlohmann::json object) {
  return impl_->request(http::verb::put, std::move(path), "application/json", written(object));
}
asio::awaitable<Result<Response>> Client::patch(std::string path, PatchType type,
                                                nlohmann::json patch) {
  return impl_->request(http::verb::patch, std::move(path), media_type(type), written(patch));
}
asio::awaitable<Result<Response>> Client::watch(std::string path,
                                                std::function<bool(const nlohmann::json&)> each,
                                                std::chrono::milliseconds idle_timeout,
                                                std::function<void()> accepted) {
  return impl_->watch(std::move(path), std::move(each), idle_timeout, std::move(accepted));
}

void Client::stop() {
  impl_->stopping.request();
  if (impl_->stream) beast::get_lowest_layer(*impl_->stream).close();
}

asio::awaitable<Result<TokenIdentity>> review_token(Client& client, std::string token,
                                                    std::string audience) {
  nlohmann::json review = {{"apiVersion", "authentication.k8s.io/v1"},
                           {"kind", "TokenReview"},
                           {"spec", {{"token", std::move(token)}, {"audiences", {audience}}}}};
  const auto response =
      co_await client.create("/apis/authentication.k8s.io/v1/tokenreviews", std::move(review));
  if (!response) co_return response.error();
  if (!response->ok()) co_return Error{"TokenReview: " + response->describe()};
  const nlohmann::json empty = nlohmann::json::object();
  const auto member = [&empty](const nlohmann::json& object,
                               const char* key) -> const nlohmann::json& {
    if (!object.is_object()) return empty;
    const auto found = object.find(key);
    return found == object.end() ? empty : *found;
  };
  const auto& status = member(response->body, "status");
  TokenIdentity identity;
  // A server that does not know audiences leaves them out: such a token proves nothing to us.
  const auto& audiences = member(status, "audiences");
  const bool for_us = audiences.is_array() &&
                      std::find(audiences.begin(), audiences.end(), audience) != audiences.end();
  identity.authenticated = member(status, "authenticated") == true && for_us;
  identity.reason = for_us ? text_of(status, "error") : "the token is not for audience " + audience;
  const auto& user = member(status, "user");
  identity.user = text_of(user, "username");
  const auto& extra = member(user, "extra");
  const auto first = [&](const char* key) {
    const auto& values = member(extra, key);
    return values.is_array() && !values.empty() && values[0].is_string()
               ? values[0].get<std::string>()
               : std::string();
  };
  identity.pod_name = first("authentication.kubernetes.io/pod-name");
  identity.pod_uid = first("authentication.kubernetes.io/pod-uid");
  co_return identity;
}

}  // namespace sidetap::kube
