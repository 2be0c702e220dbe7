// TlsStream as an Asio stream, for Beast's WebSocket.
//
// Beast begins its reads and writes in a dozen places, each with a handler of another type. What
// waits for the socket knows no such type and is compiled once: a handler is kept behind
// TlsCompletion until then.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/beast/core/role.hpp>

#include "shared/http/tls_stream.h"

namespace sidetap::http {

/// Who is told of the end of one operation, and where. Dropped untold when the context ends first.
class TlsCompletion {
 public:
  using ErrorCode = boost::system::error_code;

  template <typename Slot>
  TlsCompletion(boost::asio::any_io_executor executor, Slot slot)
      : executor_(std::move(executor)), cancellation_(std::move(slot)) {}
  virtual ~TlsCompletion() = default;
  TlsCompletion(const TlsCompletion&) = delete;
  TlsCompletion& operator=(const TlsCompletion&) = delete;

  /// Where it wants to be told.
  const boost::asio::any_io_executor& executor() const { return executor_; }
  /// By which it ends the operation early.
  boost::asio::cancellation_slot slot() const { return cancellation_.slot(); }
  /// To be called once, on executor(). Frees `self` first: the handler may begin the next
  /// operation.
  virtual void tell(std::unique_ptr<TlsCompletion> self, const ErrorCode& error,
                    std::size_t bytes) = 0;

 private:
  boost::asio::any_io_executor executor_;
  boost::asio::cancellation_state cancellation_;
};

template <typename Handler>
class TlsCompletionOf final : public TlsCompletion {
 public:
  TlsCompletionOf(Handler handler, const boost::asio::any_io_executor& otherwise)
      : TlsCompletion(boost::asio::get_associated_executor(handler, otherwise),
                      boost::asio::get_associated_cancellation_slot(handler)),
        handler_(std::move(handler)) {}

  void tell(std::unique_ptr<TlsCompletion> self, const ErrorCode& error,
            std::size_t bytes) override {
    Handler handler(std::move(handler_));
    self.reset();
    std::move(handler)(error, bytes);
  }

 private:
  Handler handler_;
};

/// One strand, one read and one write at a time. No operation completes inside its own start.
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
    const auto buffer = first_of<boost::asio::mutable_buffer>(buffers);
    const std::span<char> into(static_cast<char*>(buffer.data()), buffer.size());
    return boost::asio::async_initiate<Token, Signature>(
        [this, into](auto&& handler) {
          start_read(into, completion_of(std::forward<decltype(handler)>(handler)));
        },
        token);
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    const auto buffer = first_of<boost::asio::const_buffer>(buffers);
    const std::span<const char> from(static_cast<const char*>(buffer.data()), buffer.size());
    return boost::asio::async_initiate<Token, Signature>(
        [this, from](auto&& handler) {
          start_write(from, completion_of(std::forward<decltype(handler)>(handler)));
        },
        token);
  }

  /// Says good-bye and ends our direction; `handler` takes an error code.
  template <typename Handler>
  void async_shutdown(Handler&& handler) {
    start_shutdown(completion_of(
        [kept = std::forward<Handler>(handler)](const boost::system::error_code& error,
                                                std::size_t) mutable { kept(error); }));
  }

 private:
  using Signature = void(boost::system::error_code, std::size_t);
  using Completion = std::unique_ptr<TlsCompletion>;

  template <typename Buffer, typename Buffers>
  static Buffer first_of(const Buffers& buffers) {
    for (auto at = boost::asio::buffer_sequence_begin(buffers);
         at != boost::asio::buffer_sequence_end(buffers); ++at) {
      if (Buffer buffer = *at; buffer.size() > 0) return buffer;
    }
    return {};
  }
  template <typename Handler>
  Completion completion_of(Handler&& handler) {
    return std::make_unique<TlsCompletionOf<std::decay_t<Handler>>>(std::forward<Handler>(handler),
                                                                    get_executor());
  }

  void start_read(std::span<char> into, Completion completion);
  void start_write(std::span<const char> from, Completion completion);
  void start_shutdown(Completion completion);

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
  stream.async_shutdown(std::forward<Handler>(handler));
}

}  // namespace sidetap::http
