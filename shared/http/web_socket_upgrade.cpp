// The client's part of a WebSocket's handshake.
#include <boost/beast/http/field.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "shared/http/web_socket_impl.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

}  // namespace

asio::awaitable<WebSocket::Answer> WebSocket::upgrade(const std::string& host,
                                                      const std::string& path,
                                                      const std::string& token) {
  impl_->stream.set_option(
      websocket::stream_base::decorator([&token](websocket::request_type& request) {
        request.set(beast::http::field::user_agent, "sidetap/" SIDETAP_VERSION);
        if (!token.empty()) request.set(beast::http::field::authorization, "Bearer " + token);
      }));
  websocket::response_type response;
  auto [error] = co_await impl_->stream.async_handshake(response, host, path, async::kTuple);
  Answer answer{error};
  if (error == websocket::error::upgrade_declined) {
    answer.status = response.result_int();
    answer.reason = std::string(response.reason());
  }
  co_return answer;
}

}  // namespace sidetap::http
