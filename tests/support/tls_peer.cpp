#include "tests/support/tls_peer.h"

#include <array>
#include <csignal>
#include <stdexcept>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace sidetap::testing_support {

bool TlsPeer::read_more() {
  std::array<char, 16384> chunk{};
  std::size_t bytes = 0;
  if (SSL_read_ex(session_, chunk.data(), chunk.size(), &bytes) != 1) return false;
  received_.append(chunk.data(), bytes);
  return true;
}

std::string TlsPeer::request() {
  std::size_t head = 0;
  while ((head = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return std::move(received_);
  }
  std::size_t whole = head + 4;
  constexpr std::string_view kLength = "Content-Length: ";
  if (const auto at = received_.find(kLength); at < head) {
    whole += std::stoul(received_.substr(at + kLength.size()));
  }
  while (received_.size() < whole && read_more()) {
  }
  std::string request = received_.substr(0, whole);
  received_.erase(0, whole);
  return request;
}

bool TlsPeer::send(std::string_view bytes) {
  std::size_t sent = 0;
  return SSL_write_ex(session_, bytes.data(), bytes.size(), &sent) == 1;
}

void TlsPeer::finish() { SSL_shutdown(session_); }

void TlsPeer::wait_for_end() {
  while (read_more()) {
  }
}

TlsPeerServer::TlsPeerServer(const KeyPair& leaf, Script script, int at_once)
    : script_(std::move(script)),
      context_(SSL_CTX_new(TLS_server_method())),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  std::signal(SIGPIPE, SIG_IGN);
  show_certificate(context_, leaf);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_.get(), name, size) != 0 || ::listen(listener_.get(), 8) != 0 ||
      ::getsockname(listener_.get(), name, &size) != 0) {
    throw std::runtime_error("cannot listen");
  }
  port_ = ntohs(address.sin_port);
  if (!script_) return;
  for (int i = 0; i < at_once; ++i) threads_.emplace_back([this] { accept(); });
}

TlsPeerServer::~TlsPeerServer() {
  // Wakes whoever accepts; closing from here would race with it.
  ::shutdown(listener_.get(), SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
  SSL_CTX_free(context_);
}

void TlsPeerServer::accept() {
  for (;;) {
    const net::UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) return;
    ++connections_;
    serve(socket.get());
  }
}

void TlsPeerServer::serve(int socket) {
  const timeval limit{10, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  SSL* const session = SSL_new(context_);
  SSL_set_fd(session, socket);
  TlsPeer peer(session);
  if (SSL_accept(session) == 1) script_(peer);
  SSL_free(session);
}

}  // namespace sidetap::testing_support
