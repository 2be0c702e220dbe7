// A TLS server that does what a test tells it, byte for byte, on threads of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <openssl/types.h>

#include "shared/net/unique_fd.h"
#include "tests/support/certificates.h"

namespace sidetap::testing_support {

/// One connection of the server. Blocking; a wait of ten seconds counts as the end.
class TlsPeer {
 public:
  explicit TlsPeer(SSL* session) : session_(session) {}

  /// Reads a request with its body. Returns less if the client ends earlier.
  std::string request();
  /// Returns false if the client has closed the connection.
  bool send(std::string_view bytes);
  /// Sends close_notify.
  void finish();
  /// Reads until the client ends the connection.
  void wait_for_end();

 private:
  bool read_more();

  SSL* session_;
  std::string received_;
};

/// On 127.0.0.1. `script` has `at_once` connections side by side, each once its handshake is done,
/// and further ones after these; when it returns, the connection is closed. Without a script
/// nothing is accepted.
class TlsPeerServer {
 public:
  using Script = std::function<void(TlsPeer& peer)>;

  TlsPeerServer(const KeyPair& leaf, Script script, int at_once = 1);
  /// Waits for the script to return: its clients are gone by then.
  ~TlsPeerServer();
  TlsPeerServer(const TlsPeerServer&) = delete;
  TlsPeerServer& operator=(const TlsPeerServer&) = delete;

  std::uint16_t port() const { return port_; }
  /// Connections accepted so far.
  int connections() const { return connections_; }

 private:
  void accept();
  void serve(int socket);

  const Script script_;
  SSL_CTX* const context_;
  net::UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::vector<std::thread> threads_;
};

}  // namespace sidetap::testing_support
