#include "tests/sensor/stream.h"

#include <array>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>
#include <openssl/ssl.h>

#include "shared/http/openssl.h"
#include "shared/http/tls_stream.h"
#include "shared/http/tls_trust.h"

namespace sidetap::sensor {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class PlainStream final : public Stream {
 public:
  explicit PlainStream(tcp::socket socket) : socket_(std::move(socket)) {}

  asio::awaitable<std::size_t> read_some(std::span<std::byte> into) override {
    co_return co_await socket_.async_read_some(asio::buffer(into.data(), into.size()),
                                               asio::use_awaitable);
  }
  asio::awaitable<void> write(std::span<const std::byte> all) override {
    co_await asio::async_write(socket_, asio::buffer(all.data(), all.size()), asio::use_awaitable);
  }
  tcp::socket& socket() override { return socket_; }

 private:
  tcp::socket socket_;
};

class EncryptedStream final : public Stream {
 public:
  EncryptedStream(tcp::socket socket, SSL* session) : tls_(std::move(socket), session) {}

  asio::awaitable<void> handshake() {
    const boost::system::error_code error = co_await tls_.handshake();
    require(error);
  }
  asio::awaitable<std::size_t> read_some(std::span<std::byte> into) override {
    const std::span<char> chars(reinterpret_cast<char*>(into.data()), into.size());
    // A stream that never pauses must not keep the thread from the other connections.
    co_await asio::post(tls_.socket().get_executor(), asio::use_awaitable);
    for (;;) {
      const http::TlsStep step = tls_.read_step(chars);
      require(step.error);
      if (step.want == http::TlsStep::Want::kNothing) co_return step.bytes;
      const boost::system::error_code error = co_await tls_.wait(step.want);
      require(error);
    }
  }
  asio::awaitable<void> write(std::span<const std::byte> all) override {
    const std::span<const char> chars(reinterpret_cast<const char*>(all.data()), all.size());
    const boost::system::error_code error = co_await tls_.write(chars);
    require(error);
  }
  tcp::socket& socket() override { return tls_.socket(); }

 private:
  static void require(const boost::system::error_code& error) {
    if (error) throw boost::system::system_error(error);
  }

  http::TlsStream tls_;
};

SSL* new_session(SSL_CTX* tls, const Options& options) {
  SSL* const session = SSL_new(tls);
  if (session == nullptr) throw std::bad_alloc();
  if (options.tls == TlsMode::kRpcaps) {
    SSL_set_connect_state(session);
    if (!options.tls_name.empty()) http::expect_server(session, options.tls_name);
  } else {
    SSL_set_accept_state(session);
  }
  return session;
}

void require_use(int returned, const std::string& file) {
  if (returned != 1) throw std::runtime_error(http::openssl_error(file).text);
}

}  // namespace

asio::awaitable<void> Stream::read(std::span<std::byte> all) {
  while (!all.empty()) {
    const std::size_t got = co_await read_some(all);
    all = all.subspan(got);
  }
}

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

std::shared_ptr<SSL_CTX> make_tls(const Options& options) {
  if (options.tls == TlsMode::kOff) return nullptr;
  const std::shared_ptr<SSL_CTX> tls(SSL_CTX_new(TLS_method()), &SSL_CTX_free);
  if (!tls) throw std::bad_alloc();
  SSL_CTX_set_min_proto_version(tls.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(tls.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!options.tls_cert.empty()) {
    require_use(SSL_CTX_use_certificate_chain_file(tls.get(), options.tls_cert.c_str()),
                options.tls_cert);
  }
  if (!options.tls_key.empty()) {
    require_use(SSL_CTX_use_PrivateKey_file(tls.get(), options.tls_key.c_str(), SSL_FILETYPE_PEM),
                options.tls_key);
  }
  if (!options.tls_ca.empty()) {
    require_use(SSL_CTX_load_verify_file(tls.get(), options.tls_ca.c_str()), options.tls_ca);
    SSL_CTX_set_verify(tls.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return tls;
}

asio::awaitable<std::unique_ptr<Stream>> open_stream(tcp::socket socket,
                                                     std::shared_ptr<SSL_CTX> tls,
                                                     const Options& options) {
  socket.set_option(tcp::no_delay(true));
  if (!tls) co_return std::make_unique<PlainStream>(std::move(socket));
  auto stream =
      std::make_unique<EncryptedStream>(std::move(socket), new_session(tls.get(), options));
  co_await stream->handshake();
  co_return stream;
}

}  // namespace sidetap::sensor
