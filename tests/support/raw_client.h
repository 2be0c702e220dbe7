// A TCP client that sends the test's bytes unchanged and reads the answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/net/unique_fd.h"

namespace sidetap::testing_support {

/// Connects to 127.0.0.1. Blocking; a read times out after ten seconds. Throws if it cannot
/// connect.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port);

  /// Returns false if the peer has closed the connection.
  bool send(std::string_view bytes);
  /// Reads everything until the peer closes or resets the connection.
  std::string read_all();
  /// Reads until `end` arrives or the peer closes the connection.
  std::string read_until(std::string_view end);
  int fd() const { return fd_.get(); }

 private:
  net::UniqueFd fd_;
};

/// Sends one request on its own connection. Returns the whole answer.
std::string ask(std::uint16_t port, std::string_view request);

}  // namespace sidetap::testing_support
