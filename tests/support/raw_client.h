// A TCP client that sends bytes as they are written in the test, and reads what comes.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/net/unique_fd.h"

namespace sidetap::testing_support {

/// To 127.0.0.1. Blocking; a read gives up after ten seconds. Throws when it cannot connect.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port);

  /// False when the peer has closed.
  bool send(std::string_view bytes);
  /// Everything until the peer closes (or resets).
  std::string read_all();
  /// Until `end` was seen, or the peer closed.
  std::string read_until(std::string_view end);
  int fd() const { return fd_.get(); }

 private:
  net::UniqueFd fd_;
};

/// One request on a connection of its own; the whole answer.
std::string ask(std::uint16_t port, std::string_view request);

}  // namespace sidetap::testing_support
