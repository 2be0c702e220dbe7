#include "sidecar/forwarding/udp_output.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "shared/rpcap/codec.h"
#include "shared/rpcap/udpstr_packer.h"
#include "sidecar/forwarding/datagram_sender.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kBatchBytes = 64 * 1024;

class UdpstrOutput final : public Output {
 public:
  UdpstrOutput(net::UniqueFd socket, std::size_t datagram_size, FaultHandler on_fault)
      : sender_(std::move(socket), counts_, std::move(on_fault)),
        packer_(datagram_size, kBatchBytes) {}

  void add(const OutgoingPacket& packet) override {
    packer_.add(packet.header, packet.head, packet.body, [this] { send(); });
  }
  void flush() override {
    packer_.finish();
    send();
  }

 private:
  void send() {
    sender_.send(packer_.runs(), packer_.data());
    packer_.clear();
    if (const std::size_t smaller = sender_.take_smaller_size(); smaller != 0)
      packer_.set_datagram_size(std::min(smaller, packer_.datagram_size()));
  }

  DatagramSender sender_;
  rpcap::UdpstrPacker packer_;
};

class PlainUdpOutput final : public Output {
 public:
  PlainUdpOutput(net::UniqueFd socket, std::size_t datagram_size, FaultHandler on_fault)
      : sender_(std::move(socket), counts_, std::move(on_fault)),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(kBatchBytes)),
        datagram_size_(std::clamp(datagram_size, rpcap::kMinUdpstrDatagram, kBatchBytes)) {}

  void add(const OutgoingPacket& packet) override {
    constexpr std::size_t kHeaders = rpcap::kHeaderSize + rpcap::kPacketHeaderSize;
    const std::size_t body =
        std::min(packet.head.size() + packet.body.size(), datagram_size_ - kHeaders);
    if (body < packet.head.size() + packet.body.size()) counts_.truncated.add();
    if (kBatchBytes - used_ < kHeaders + body) flush();
    std::byte* at = buffer_.get() + used_;
    const rpcap::Header message{
        .type = rpcap::MessageType::kPacket,
        .payload_size = static_cast<std::uint32_t>(rpcap::kPacketHeaderSize + body)};
    rpcap::PacketHeader header = packet.header;
    header.captured = static_cast<std::uint32_t>(body);
    rpcap::encode_header(message, std::span<std::byte, rpcap::kHeaderSize>(at, rpcap::kHeaderSize));
    rpcap::encode_packet_header(header, std::span<std::byte, rpcap::kPacketHeaderSize>(
                                            at + rpcap::kHeaderSize, rpcap::kPacketHeaderSize));
    const std::size_t from_head = std::min(body, packet.head.size());
    if (from_head != 0) std::memcpy(at + kHeaders, packet.head.data(), from_head);
    if (body > from_head)
      std::memcpy(at + kHeaders + from_head, packet.body.data(), body - from_head);
    runs_.add(used_, kHeaders + body, 1, false);
    used_ += kHeaders + body;
  }
  void flush() override {
    sender_.send(runs_.all(), buffer_.get());
    runs_.clear();
    used_ = 0;
    if (const std::size_t smaller = sender_.take_smaller_size(); smaller != 0)
      datagram_size_ = std::clamp(smaller, rpcap::kMinUdpstrDatagram, datagram_size_);
  }

 private:
  DatagramSender sender_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t datagram_size_;
  std::size_t used_ = 0;
  net::DatagramRuns runs_{64};
};

}  // namespace

std::unique_ptr<Output> make_udpstr_output(net::UniqueFd socket, std::size_t datagram_size,
                                           FaultHandler on_fault) {
  return std::make_unique<UdpstrOutput>(std::move(socket), datagram_size, std::move(on_fault));
}

std::unique_ptr<Output> make_plain_udp_output(net::UniqueFd socket, std::size_t datagram_size,
                                              FaultHandler on_fault) {
  return std::make_unique<PlainUdpOutput>(std::move(socket), datagram_size, std::move(on_fault));
}

}  // namespace sidetap::forwarding
