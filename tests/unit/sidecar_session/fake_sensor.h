// The sensor's end of a session for tests: blocking calls that time out after 10 s.
#pragma once

#include <optional>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "shared/rpcap/codec.h"

namespace sidetap::session {

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

inline const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

/// A socket bound to 127.0.0.1.
class LocalSocket {
 public:
  explicit LocalSocket(int type, std::uint16_t port = 0) : fd_(::socket(AF_INET, type, 0)) {
    const int yes = 1;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address = loopback(port);
    socklen_t size = sizeof address;
    if (::bind(fd_.get(), generic(address), size) != 0) {
      throw std::runtime_error("cannot bind to 127.0.0.1");
    }
    if (type == SOCK_STREAM) ::listen(fd_.get(), 8);
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  std::uint16_t port() const { return port_; }
  int get() const { return fd_.get(); }
  bool readable(int millis) const {
    pollfd wanted{fd_.get(), POLLIN, 0};
    return ::poll(&wanted, 1, millis) == 1;
  }
  /// Throws if nobody connects.
  net::UniqueFd accept() const {
    if (!readable(10'000)) throw std::runtime_error("nobody dialled");
    return net::UniqueFd(::accept(fd_.get(), nullptr, nullptr));
  }
  std::string receive() const {
    if (!readable(10'000)) throw std::runtime_error("no datagram came");
    std::string bytes(65'536, '\0');
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
  }

 private:
  net::UniqueFd fd_;
  std::uint16_t port_ = 0;
};

struct Message {
  rpcap::Header header;
  rpcap::Bytes payload;
};

/// One connection, plain or TLS.
class Wire {
 public:
  explicit Wire(net::UniqueFd fd) : fd_(std::move(fd)) {
    const timeval limit{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  /// False: the handshake failed.
  [[nodiscard]] bool begin_tls(SSL_CTX* context, bool as_client, const std::string& name = {}) {
    tls_.reset(SSL_new(context), SSL_free);
    SSL_set_fd(tls_.get(), fd_.get());
    if (!name.empty()) SSL_set1_host(tls_.get(), name.c_str());
    return (as_client ? SSL_connect(tls_.get()) : SSL_accept(tls_.get())) == 1;
  }
  void send(const rpcap::Bytes& bytes) {
    if (tls_) {
      SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
    } else {
      ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
  }
  /// Returns fewer bytes than requested at the end of the connection.
  rpcap::Bytes read(std::size_t size) {
    rpcap::Bytes bytes(size);
    std::size_t got = 0;
    while (got < size) {
      const auto step = tls_
                            ? SSL_read(tls_.get(), bytes.data() + got, static_cast<int>(size - got))
                            : ::recv(fd_.get(), bytes.data() + got, size - got, 0);
      if (step <= 0) break;
      got += static_cast<std::size_t>(step);
    }
    bytes.resize(got);
    return bytes;
  }
  /// Nothing if the connection has ended.
  std::optional<Message> receive() {
    const auto head = read(rpcap::kHeaderSize);
    if (head.size() < rpcap::kHeaderSize) return std::nullopt;
    Message message{rpcap::decode_header(std::span<const std::byte, 8>(head.data(), 8)), {}};
    message.payload = read(message.header.payload_size);
    return message;
  }
  std::optional<Message> ask(const rpcap::Bytes& request) {
    send(request);
    return receive();
  }
  int get() const { return fd_.get(); }
  SSL* tls() const { return tls_.get(); }
  void close() {
    tls_.reset();
    fd_.reset();
  }

 private:
  net::UniqueFd fd_;
  std::shared_ptr<SSL> tls_;
};

inline void expect_type(const std::optional<Message>& message, rpcap::MessageType type) {
  ASSERT_TRUE(message) << "the connection has ended";
  EXPECT_EQ(static_cast<int>(message->header.type), static_cast<int>(type))
      << rpcap::decode_error(message->payload);
}

/// Authenticates and opens, as a sensor does before it starts a capture.
inline void open_interface(Wire& wire) {
  using rpcap::MessageType;
  expect_type(wire.ask(rpcap::encode_auth_request({})), MessageType::kAuthReply);
  expect_type(wire.ask(rpcap::encode_empty(MessageType::kFindAllInterfacesRequest)),
              MessageType::kFindAllInterfacesReply);
  expect_type(wire.ask(rpcap::encode_open_request("eth0")), MessageType::kOpenReply);
}

inline rpcap::Bytes start_request(std::uint16_t flags, std::uint16_t port,
                                  rpcap::Filter filter = {}) {
  return rpcap::encode_start_request({.snaplen = 65'535,
                                      .read_timeout_ms = 100,
                                      .flags = flags,
                                      .data_port = port,
                                      .filter = std::move(filter)});
}

}  // namespace sidetap::session
