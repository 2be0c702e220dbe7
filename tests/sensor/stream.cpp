#include "tests/sensor/stream.h"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace sidetap::sensor {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

template <typename S>
class StreamOf final : public Stream {
 public:
  template <typename... A>
  explicit StreamOf(A&&... arguments) : stream_(std::forward<A>(arguments)...) {}

  asio::awaitable<void> read(std::span<std::byte> all) override {
    co_await asio::async_read(stream_, asio::buffer(all.data(), all.size()), asio::use_awaitable);
  }
  asio::awaitable<std::size_t> read_some(std::span<std::byte> into) override {
    co_return co_await stream_.async_read_some(asio::buffer(into.data(), into.size()),
                                               asio::use_awaitable);
  }
  asio::awaitable<void> write(std::span<const std::byte> all) override {
    co_await asio::async_write(stream_, asio::buffer(all.data(), all.size()), asio::use_awaitable);
  }
  tcp::socket& socket() override {
    if constexpr (std::is_same_v<S, tcp::socket>) {
      return stream_;
    } else {
      return stream_.next_layer();
    }
  }
  S& inner() { return stream_; }

 private:
  S stream_;
};

using TlsStream = StreamOf<asio::ssl::stream<tcp::socket>>;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"  // in OpenSSL's macro
void set_server_name(TlsStream& stream, const std::string& name) {
  SSL_set_tlsext_host_name(stream.inner().native_handle(), name.c_str());
}
#pragma GCC diagnostic pop

}  // namespace

asio::awaitable<Message> read_message(Stream& stream) {
  Message message;
  std::array<std::byte, rpcap::kHeaderSize> header;
  co_await stream.read(header);
  message.header = rpcap::decode_header(header);
  if (message.header.payload_size > rpcap::kMaxControlPayload)
    throw std::runtime_error("a control message of " + std::to_string(message.header.payload_size) +
                             " bytes");
  message.payload.resize(message.header.payload_size);
  if (!message.payload.empty()) co_await stream.read(message.payload);
  co_return message;
}

std::shared_ptr<asio::ssl::context> make_tls(const Options& options) {
  if (options.tls == TlsMode::kOff) return nullptr;
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls);
  context->set_options(asio::ssl::context::no_sslv2 | asio::ssl::context::no_sslv3 |
                       asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  if (!options.tls_cert.empty()) context->use_certificate_chain_file(options.tls_cert);
  if (!options.tls_key.empty())
    context->use_private_key_file(options.tls_key, asio::ssl::context::pem);
  if (!options.tls_ca.empty()) {
    context->load_verify_file(options.tls_ca);
    context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
  }
  return context;
}

asio::awaitable<std::unique_ptr<Stream>> open_stream(tcp::socket socket,
                                                     std::shared_ptr<asio::ssl::context> tls,
                                                     const Options& options) {
  socket.set_option(tcp::no_delay(true));
  if (!tls) co_return std::make_unique<StreamOf<tcp::socket>>(std::move(socket));
  auto stream = std::make_unique<TlsStream>(std::move(socket), *tls);
  if (options.tls == TlsMode::kRpcaps) {
    if (!options.tls_name.empty()) {
      set_server_name(*stream, options.tls_name);
      stream->inner().set_verify_callback(asio::ssl::host_name_verification(options.tls_name));
    }
    co_await stream->inner().async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  } else {
    co_await stream->inner().async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
  }
  co_return stream;
}

}  // namespace sidetap::sensor
