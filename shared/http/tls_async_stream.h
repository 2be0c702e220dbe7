// Adapts TlsStream to Asio's stream concept, for Beast's WebSocket.
#pragma once

#include <cstring>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include "shared/http/tls_stream.h"

namespace sidetap::http {

/// Use it on one strand, with one read and one write at a time.
class TlsAsyncStream {
 public:
  using next_layer_type = boost::asio::ip::tcp::socket;
  using executor_type = next_layer_type::executor_type;

  TlsAsyncStream(boost::asio::ip::tcp::socket socket, const TlsContext& context)
      : tls_(std::move(socket), context) {}
  TlsAsyncStream(boost::asio::ip::tcp::socket socket, const TlsTrust& trust,
                 const std::string& name)
      : tls_(std::move(socket), trust, name) {}

  executor_type get_executor() { return tls_.socket().get_executor(); }
  next_layer_type& next_layer() { return tls_.socket(); }
  const next_layer_type& next_layer() const {
    return const_cast<TlsAsyncStream*>(this)->next_layer();
  }
  TlsStream& tls() { return tls_; }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    const auto into = first_of<boost::asio::mutable_buffer>(buffers);
    return run(
        [into](TlsStream& tls) {
          return tls.read_step({static_cast<char*>(into.data()), into.size()});
        },
        std::forward<Token>(token));
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    const auto from = first_of<boost::asio::const_buffer>(buffers);
    return run(
        [from](TlsStream& tls) {
          return tls.write_step({static_cast<const char*>(from.data()), from.size()});
        },
        std::forward<Token>(token));
  }

 private:
  template <typename Buffer, typename Buffers>
  static Buffer first_of(const Buffers& buffers) {
    for (auto at = boost::asio::buffer_sequence_begin(buffers);
         at != boost::asio::buffer_sequence_end(buffers); ++at) {
      if (Buffer buffer = *at; buffer.size() > 0) return buffer;
    }
    return {};
  }

  /// Attempts the step, waits for the socket as often as needed, and completes. Never completes
  /// inside the initiating call.
  template <typename Attempt>
  struct Operation {
    TlsStream& tls;
    Attempt attempt;
    bool begun = false;
    bool finished = false;
    TlsStep step = {};

    template <typename Self>
    void operator()(Self& self, boost::system::error_code error = {}) {
      if (error) return self.complete(error, 0);
      if (finished) return self.complete(step.error, step.bytes);
      step = attempt(tls);
      if (step.want != TlsStep::Want::kNothing) {
        begun = true;
        const auto kind = step.want == TlsStep::Want::kRead
                              ? boost::asio::ip::tcp::socket::wait_read
                              : boost::asio::ip::tcp::socket::wait_write;
        return tls.socket().async_wait(kind, std::move(self));
      }
      if (begun) return self.complete(step.error, step.bytes);
      finished = true;
      boost::asio::post(tls.socket().get_executor(), std::move(self));
    }
  };

  template <typename Attempt, typename Token>
  auto run(Attempt attempt, Token&& token) {
    return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
        Operation<Attempt>{tls_, std::move(attempt)}, token, tls_.socket());
  }

  TlsStream tls_;
};

// Beast calls these when a WebSocket has been closed on both sides.
inline void teardown(boost::beast::role_type, TlsAsyncStream& stream,
                     boost::system::error_code& error) {
  stream.tls().shutdown();
  error = {};
}
template <typename Handler>
void async_teardown(boost::beast::role_type, TlsAsyncStream& stream, Handler&& handler) {
  stream.tls().shutdown();
  boost::asio::post(stream.get_executor(), [handler = std::forward<Handler>(handler)]() mutable {
    handler(boost::system::error_code());
  });
}

}  // namespace sidetap::http
