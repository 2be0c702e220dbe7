// Reads many UDP datagrams with one system call (recvmmsg(2)), including those that the kernel has
// joined (UDP_GRO, udp(7)).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "shared/net/socket_address.h"

namespace sidetap::net {

/// Has the kernel join datagrams, and asks for `buffer` bytes for what is not read yet (SO_RCVBUF).
/// The system may grant less.
void prepare_datagram_port(int socket, std::uint32_t buffer);

/// What one sender has sent: a datagram, or several of one size, of which the last may be shorter.
struct DatagramMessage {
  SocketAddress sender{};
  std::span<const std::byte> bytes{};
  std::size_t each = 0;  ///< Bytes of a datagram; 0 if the only one is empty.

  std::size_t datagrams() const { return each == 0 ? 1 : (bytes.size() + each - 1) / each; }
  /// Calls `take` with the bytes of each datagram that is not empty, in order.
  template <typename Take>
  void for_each_datagram(Take take) const {
    for (auto rest = bytes; !rest.empty();) {
      const auto datagram = rest.first(std::min(each, rest.size()));
      take(datagram);
      rest = rest.subspan(datagram.size());
    }
  }
};

/// The memory for one system call, of which little is touched while datagrams are small. One
/// thread; sockets may share it.
class DatagramBatch {
 public:
  /// Messages that one call reads at most.
  static constexpr std::size_t kMessages = 32;

  DatagramBatch();
  ~DatagramBatch();
  DatagramBatch(const DatagramBatch&) = delete;
  DatagramBatch& operator=(const DatagramBatch&) = delete;

  /// Reads what has arrived at a UDP socket, without waiting. Returns the number of messages; 0
  /// also if the system reports an error.
  std::size_t receive(int socket);
  /// One of those that receive() has counted. Valid until it is called again.
  DatagramMessage message(std::size_t i) const;

 private:
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace sidetap::net
