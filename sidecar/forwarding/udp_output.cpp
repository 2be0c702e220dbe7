#include "sidecar/forwarding/udp_output.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "shared/rpcap/codec.h"
#include "shared/rpcap/udpstr_packer.h"
#include "sidecar/forwarding/datagram_sender.h"

namespace sidetap::forwarding {
namespace {

class UdpstrOutput final : public Output {
 public:
  UdpstrOutput(net::UniqueFd socket, std::size_t datagram_size, FaultHandler on_fault)
      : sender_(std::move(socket), counts_, std::move(on_fault)),
        packer_(datagram_size, kBatchBytes, kHeldBytes) {}

  void add(const OutgoingPacket& packet) override {
    if (sender_.is_full() && !packer_.has_room_for(packet.header.captured)) {
      counts_.dropped[static_cast<unsigned>(DropCause::kSocketFull)].add();
      return;
    }
    packer_.add(packet.header, packet.head, packet.body, [this] { make_room(); });
  }
  void flush() override {
    packer_.finish();
    send();
  }
  void finish() override {
    flush();
    give_up();
  }
  int blocked_descriptor() const override { return sender_.blocked_descriptor(); }
  bool must_retry() const override { return sender_.must_retry(); }
  bool takes_more() const override { return !sender_.is_dead() && !sender_.is_full(); }

 private:
  /// For one more datagram.
  void make_room() {
    if (!sender_.is_full()) send();
    if (!packer_.has_room()) give_up();
  }

  void give_up() {
    sender_.give_up(packer_.runs());
    packer_.clear();
  }

  void send() {
    Sent sent = sender_.send(packer_.runs(), packer_.data());
    while (sent.too_large) {
      pack_anew(*sent.too_large);
      sent = sender_.send(packer_.runs(), packer_.data());
    }
    packer_.discard(sent.runs);
    if (const std::size_t smaller = sender_.take_smaller_size(); smaller != 0)
      packer_.set_datagram_size(std::min(smaller, packer_.datagram_size()));
  }

  void pack_anew(const TooLarge& refused) {
    const net::DatagramRun stopped = packer_.runs()[refused.run];
    std::uint32_t packets = 0;
    for (const auto& run : packer_.runs().subspan(refused.run)) packets += run.packets;
    // Smaller datagrams have more headers: they may fill the buffer before all is packed.
    const std::uint32_t again =
        packer_.repack(refused.run, refused.datagram, refused.fits, [this] { make_room(); });
    sender_.count_sent(stopped, refused.datagram, packets - again);
  }

  DatagramSender sender_;
  rpcap::UdpstrPacker packer_;
};

class PlainUdpOutput final : public Output {
 public:
  PlainUdpOutput(net::UniqueFd socket, std::size_t datagram_size, FaultHandler on_fault)
      : sender_(std::move(socket), counts_, std::move(on_fault)),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(kHeldBytes)),
        datagram_size_(std::clamp(datagram_size, rpcap::kMinUdpstrDatagram, kBatchBytes)) {}

  void add(const OutgoingPacket& packet) override {
    constexpr std::size_t kHeaders = rpcap::kHeaderSize + rpcap::kPacketHeaderSize;
    const std::size_t body =
        std::min(packet.head.size() + packet.body.size(), datagram_size_ - kHeaders);
    if (used_ + kHeaders + body > kBatchBytes && !sender_.is_full()) flush();
    if (kHeldBytes - used_ < kHeaders + body) {
      counts_.dropped[static_cast<unsigned>(DropCause::kSocketFull)].add();
      return;
    }
    if (body < packet.head.size() + packet.body.size()) counts_.truncated.add();
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
    Sent sent = sender_.send(runs_.all(), buffer_.get());
    while (sent.too_large) {
      const TooLarge refused = *sent.too_large;
      const auto datagrams = static_cast<std::uint32_t>(refused.datagram);
      sender_.count_sent(runs_.all()[refused.run], refused.datagram, datagrams);
      const std::size_t before =
          std::exchange(datagram_size_, std::max(refused.fits, rpcap::kMinUdpstrDatagram));
      cut_datagrams(runs_, buffer_.get(), refused,
                    [&](std::span<std::byte> message) { return cut(message, before); });
      sent = sender_.send(runs_.all(), buffer_.get());
    }
    used_ = runs_.discard(sent.runs, buffer_.get());
    if (const std::size_t smaller = sender_.take_smaller_size(); smaller != 0)
      datagram_size_ = std::clamp(smaller, rpcap::kMinUdpstrDatagram, datagram_size_);
  }
  void finish() override {
    flush();
    sender_.give_up(runs_.all());
    used_ = runs_.discard(runs_.all().size(), buffer_.get());
  }
  int blocked_descriptor() const override { return sender_.blocked_descriptor(); }
  bool must_retry() const override { return sender_.must_retry(); }
  bool takes_more() const override { return !sender_.is_dead() && !sender_.is_full(); }

 private:
  /// Its packet as by a smaller snaplen. One that fills a datagram of the size `before` was cut,
  /// and counted, when it was added.
  std::size_t cut(std::span<std::byte> message, std::size_t before) {
    const std::size_t body = datagram_size_ - rpcap::kHeaderSize - rpcap::kPacketHeaderSize;
    const auto packet_header = message.subspan<rpcap::kHeaderSize, rpcap::kPacketHeaderSize>();
    rpcap::PacketHeader header = rpcap::decode_packet_header(packet_header);
    if (message.size() < before) counts_.truncated.add();
    header.captured = static_cast<std::uint32_t>(body);
    rpcap::encode_packet_header(header, packet_header);
    rpcap::encode_header(
        {.type = rpcap::MessageType::kPacket,
         .payload_size = static_cast<std::uint32_t>(rpcap::kPacketHeaderSize + body)},
        message.first<rpcap::kHeaderSize>());
    return datagram_size_;
  }

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
