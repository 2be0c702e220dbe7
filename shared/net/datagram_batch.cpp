#include "shared/net/datagram_batch.h"

#include <array>
#include <cstring>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace sidetap::net {
namespace {

/// The kernel joins at most this many bytes.
constexpr std::size_t kMessageBytes = 65'536;

/// Bytes of each datagram in a message that the kernel has joined; 0 if it is a single one.
std::size_t joined_size(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(c), sizeof size);
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  return 0;
}

}  // namespace

void prepare_datagram_port(int socket, std::uint32_t buffer) {
  const int one = 1;
  setsockopt(socket, SOL_UDP, UDP_GRO, &one, sizeof one);
  // The forced size needs a right, the other is bounded by the system.
  const int size = static_cast<int>(buffer);
  if (setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

struct DatagramBatch::Buffers {
  // Not touched before use: most messages are far shorter.
  std::unique_ptr<std::byte[]> bytes =
      std::make_unique_for_overwrite<std::byte[]>(kMessages * kMessageBytes);
  std::array<mmsghdr, kMessages> messages{};
  std::array<iovec, kMessages> parts{};
  std::array<sockaddr_storage, kMessages> senders{};
  std::array<std::array<char, CMSG_SPACE(sizeof(int))>, kMessages> controls{};
};

DatagramBatch::DatagramBatch() : buffers_(std::make_unique<Buffers>()) {}
DatagramBatch::~DatagramBatch() = default;

std::size_t DatagramBatch::receive(int socket) {
  Buffers& b = *buffers_;
  for (std::size_t i = 0; i < kMessages; ++i) {
    b.parts[i] = {b.bytes.get() + i * kMessageBytes, kMessageBytes};
    b.messages[i].msg_hdr = {.msg_name = &b.senders[i],
                             .msg_namelen = sizeof b.senders[i],
                             .msg_iov = &b.parts[i],
                             .msg_iovlen = 1,
                             .msg_control = b.controls[i].data(),
                             .msg_controllen = b.controls[i].size(),
                             .msg_flags = 0};
  }
  const int got = recvmmsg(socket, b.messages.data(), kMessages, MSG_DONTWAIT, nullptr);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

DatagramMessage DatagramBatch::message(std::size_t i) const {
  mmsghdr& received = buffers_->messages[i];
  const std::size_t joined = joined_size(received.msg_hdr);
  return {.sender = read_socket_address(reinterpret_cast<const sockaddr*>(&buffers_->senders[i])),
          .bytes = {buffers_->bytes.get() + i * kMessageBytes, received.msg_len},
          .each = joined != 0 ? joined : received.msg_len};
}

}  // namespace sidetap::net
