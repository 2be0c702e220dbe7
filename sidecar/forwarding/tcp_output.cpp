#include "sidecar/forwarding/tcp_output.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "shared/rpcap/codec.h"

namespace sidetap::forwarding {
namespace {

// Room for what comes before a stall of the sensor is noticed, and for a few of the largest packets
// there are (BIG TCP).
constexpr std::size_t kCapacity = 2U << 20;
// What is gathered before the socket is asked, so that one system call carries many packets.
constexpr std::size_t kWriteBytes = 64 * 1024;
// Limits how many reads discard what a sensor has sent, although it should send nothing.
constexpr unsigned kMostDiscards = 64;

class TcpOutput final : public Output {
 public:
  TcpOutput(net::UniqueFd socket, std::shared_ptr<ssl_st> tls, FaultHandler on_fault)
      : socket_(std::move(socket)),
        tls_(std::move(tls)),
        on_fault_(std::move(on_fault)),
        // Not touched before use: pages that no stall ever fills are never resident.
        buffer_(std::make_unique_for_overwrite<std::byte[]>(kCapacity)) {
    if (tls_)
      SSL_set_mode(tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }

  ~TcpOutput() override { discard_unread(); }

  void add(const OutgoingPacket& packet) override {
    if (dead_) {
      drop(DropCause::kDisconnected);
      return;
    }
    constexpr std::size_t kHeaders = rpcap::kHeaderSize + rpcap::kPacketHeaderSize;
    const std::size_t body = packet.head.size() + packet.body.size();
    const std::size_t size = kHeaders + body;
    if (kCapacity - end_ < size) make_room();
    if (kCapacity - end_ < size) {
      drop(DropCause::kSocketFull);
      return;
    }
    std::byte* at = buffer_.get() + end_;
    const rpcap::Header message{
        .type = rpcap::MessageType::kPacket,
        .payload_size = static_cast<std::uint32_t>(rpcap::kPacketHeaderSize + body)};
    rpcap::encode_header(message, std::span<std::byte, rpcap::kHeaderSize>(at, rpcap::kHeaderSize));
    rpcap::encode_packet_header(
        packet.header, std::span<std::byte, rpcap::kPacketHeaderSize>(at + rpcap::kHeaderSize,
                                                                      rpcap::kPacketHeaderSize));
    if (!packet.head.empty()) std::memcpy(at + kHeaders, packet.head.data(), packet.head.size());
    if (!packet.body.empty())
      std::memcpy(at + kHeaders + packet.head.size(), packet.body.data(), packet.body.size());
    end_ += size;
    if (!blocked_ && end_ - begin_ >= kWriteBytes) flush();
  }

  void flush() override {
    blocked_ = false;
    while (begin_ < end_ && !dead_) {
      const long sent = tls_ ? write_tls() : write_plain();
      if (sent <= 0) break;
      begin_ += static_cast<std::size_t>(sent);
      counts_.bytes.add(static_cast<std::uint64_t>(sent));
    }
    settle_sent();
  }

  void finish() override {
    flush();
    settle_rest(DropCause::kSocketFull);
  }

  int blocked_descriptor() const override { return blocked_ ? socket_.get() : -1; }
  bool takes_more() const override { return !blocked_ && !dead_; }

 private:
  long write_plain() {
    for (;;) {
      const long sent = ::send(socket_.get(), buffer_.get() + begin_, end_ - begin_, MSG_NOSIGNAL);
      if (sent >= 0) return sent;
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        blocked_ = true;
      } else {
        die(std::strerror(errno));
      }
      return -1;
    }
  }

  long write_tls() {
    ERR_clear_error();
    const int sent = SSL_write(tls_.get(), buffer_.get() + begin_, static_cast<int>(end_ - begin_));
    if (sent > 0) return sent;
    switch (SSL_get_error(tls_.get(), sent)) {
      case SSL_ERROR_WANT_WRITE:
      case SSL_ERROR_WANT_READ:
        blocked_ = true;
        break;
      default:
        die("the TLS connection broke");
    }
    return -1;
  }

  /// Unread bytes, such as the session tickets of a TLS server, would turn the end of the
  /// connection into a reset, which takes away what the sensor has not received yet.
  void discard_unread() {
    std::array<std::byte, 4096> unread;
    for (unsigned i = 0; i < kMostDiscards; ++i) {
      if (::recv(socket_.get(), unread.data(), unread.size(), MSG_DONTWAIT) <= 0) return;
    }
  }

  void make_room() {
    if (!blocked_) flush();
    std::memmove(buffer_.get(), buffer_.get() + settled_, end_ - settled_);
    end_ -= settled_;
    begin_ -= settled_;
    settled_ = 0;
  }

  std::size_t message_size(std::size_t at) const {
    return rpcap::kHeaderSize + rpcap::decode_header(std::span<const std::byte, rpcap::kHeaderSize>(
                                                         buffer_.get() + at, rpcap::kHeaderSize))
                                    .payload_size;
  }

  // Counts the messages whose last byte the socket has taken.
  void settle_sent() {
    while (settled_ < begin_ && settled_ + message_size(settled_) <= begin_) {
      settled_ += message_size(settled_);
      counts_.forwarded.add();
    }
    if (settled_ == end_) settled_ = begin_ = end_ = 0;
  }

  void die(const std::string& reason) {
    dead_ = true;
    settle_rest(DropCause::kDisconnected);
    if (on_fault_) on_fault_("the data connection is lost: " + reason);
  }

  void settle_rest(DropCause cause) {
    settle_sent();
    for (; settled_ < end_; settled_ += message_size(settled_)) drop(cause);
    settled_ = begin_ = end_ = 0;
  }
  void drop(DropCause cause) { counts_.dropped[static_cast<unsigned>(cause)].add(); }

  net::UniqueFd socket_;
  std::shared_ptr<ssl_st> tls_;
  FaultHandler on_fault_;
  std::unique_ptr<std::byte[]> buffer_;
  // settled_ <= begin_ <= end_: messages counted, bytes sent, bytes held.
  std::size_t settled_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool blocked_ = false;
  bool dead_ = false;
};

}  // namespace

std::unique_ptr<Output> make_tcp_output(net::UniqueFd socket, std::shared_ptr<ssl_st> tls,
                                        FaultHandler on_fault) {
  return std::make_unique<TcpOutput>(std::move(socket), std::move(tls), std::move(on_fault));
}

}  // namespace sidetap::forwarding
