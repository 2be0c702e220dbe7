#include "sidecar/forwarding/udp_output.h"

#include <numeric>

#include "shared/rpcap/codec.h"
#include "shared/rpcap/udpstr_unpacker.h"
#include "tests/unit/sidecar_forwarding/sockets.h"

namespace sidetap::forwarding {
namespace {

std::vector<std::byte> bytes_of(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7);
  return bytes;
}

OutgoingPacket packet_of(const std::vector<std::byte>& bytes, std::uint32_t number) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  return {
      .header = {.captured = size, .length = size, .number = number}, .head = {}, .body = bytes};
}

std::uint64_t dropped(const Output& output, DropCause cause) {
  return output.counts().dropped[static_cast<unsigned>(cause)].value();
}

TEST(UdpstrOutput, SendsWhatWasAddedInDatagramsThatFit) {
  Pair pair = udp_pair();
  auto output = make_udpstr_output(std::move(pair.tap), 1472, nullptr);
  const auto bytes = bytes_of(1000);
  for (std::uint32_t i = 1; i <= 30; ++i) output->add(packet_of(bytes, i));
  EXPECT_LT(output->counts().forwarded.value(), 30u) << "what is packed waits for more";
  output->flush();

  const auto got = receive_all(pair.sensor.get());
  std::size_t stream = 0;
  for (const auto& datagram : got) {
    EXPECT_LE(datagram.size(), 1472u);
    EXPECT_EQ(datagram[1], std::byte{110});
    stream += datagram.size() - 8;
  }
  EXPECT_EQ(stream, 30u * (20 + 1000));
  EXPECT_EQ(output->counts().forwarded.value(), 30u);
  EXPECT_EQ(output->counts().datagrams.value(), got.size());
  EXPECT_EQ(output->counts().dropped_total(), 0u);
}

TEST(UdpstrOutput, CountsAndReportsAPortThatDoesNotAnswer) {
  Pair pair = udp_pair();
  pair.sensor.reset();
  std::string fault;
  int faults = 0;
  auto output = make_udpstr_output(std::move(pair.tap), 1472, [&](std::string reason) {
    fault = std::move(reason);
    ++faults;
  });
  const auto bytes = bytes_of(100);
  for (std::uint32_t i = 1; i <= 5; ++i) {
    output->add(packet_of(bytes, i));
    output->flush();
  }
  EXPECT_EQ(faults, 1);
  EXPECT_NE(fault.find("does not answer"), std::string::npos) << fault;
  EXPECT_EQ(output->counts().forwarded.value() + output->counts().dropped_total(), 5u);
  EXPECT_GE(dropped(*output, DropCause::kDisconnected), 4u)
      << "the first may have left before the refusal came back";
}

TEST(UdpstrOutput, PacksAnewWhatMetTheSmallerPath) {
  Pair pair = udp_pair();
  // No IP packet of 65535 bytes passes loopback's 65536 with room for headers: EMSGSIZE comes.
  auto output = make_udpstr_output(std::move(pair.tap), 65'536, nullptr);
  const auto bytes = bytes_of(60'000);
  std::size_t packets = 0;
  rpcap::UdpstrUnpacker unpacker(
      [&](const rpcap::PacketHeader&, std::span<const std::byte> packet) {
        EXPECT_TRUE(std::equal(packet.begin(), packet.end(), bytes.begin(), bytes.end()));
        ++packets;
      });
  for (std::uint32_t i = 1; i <= 10; ++i) {
    output->add(packet_of(bytes, i));
    output->flush();
    // At once: the socket's buffer holds no more than three.
    for (const auto& datagram : receive_all(pair.sensor.get())) unpacker.add(datagram);
  }
  EXPECT_EQ(output->counts().forwarded.value(), 10u);
  EXPECT_EQ(output->counts().dropped_total(), 0u);
  EXPECT_EQ(packets, 10u);
  EXPECT_EQ(unpacker.counts().lost_datagrams, 0u);
}

TEST(PlainUdpOutput, CutsWhatMetTheSmallerPath) {
  Pair pair = udp_pair();
  auto output = make_plain_udp_output(std::move(pair.tap), 65'536, nullptr);
  const auto large = bytes_of(65'507);
  const auto small = bytes_of(100);
  output->add(packet_of(small, 1));
  output->flush();
  output->add(packet_of(large, 2));
  output->flush();
  output->add(packet_of(small, 3));
  output->flush();
  const auto got = receive_all(pair.sensor.get());
  ASSERT_EQ(got.size(), 3u);
  const auto header = rpcap::decode_packet_header(
      std::span<const std::byte, rpcap::kPacketHeaderSize>(got[1].data() + 8, 20));
  EXPECT_EQ(header.captured, got[1].size() - 28);
  EXPECT_EQ(header.length, 65'507u);
  EXPECT_EQ(rpcap::decode_header(std::span<const std::byte, 8>(got[1].data(), 8)).payload_size,
            got[1].size() - 8);
  EXPECT_EQ(output->counts().forwarded.value(), 3u);
  EXPECT_EQ(output->counts().truncated.value(), 1u);
}

TEST(PlainUdpOutput, SendsOneMessageADatagram) {
  Pair pair = udp_pair();
  auto output = make_plain_udp_output(std::move(pair.tap), 1472, nullptr);
  const auto small = bytes_of(60);
  const auto large = bytes_of(1500);
  output->add(packet_of(small, 1));
  output->add(packet_of(small, 2));
  output->add(packet_of(large, 3));
  output->flush();

  const auto got = receive_all(pair.sensor.get());
  ASSERT_EQ(got.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto header = rpcap::decode_header(
        std::span<const std::byte, rpcap::kHeaderSize>(got[i].data(), rpcap::kHeaderSize));
    EXPECT_EQ(header.type, rpcap::MessageType::kPacket);
    EXPECT_EQ(header.payload_size, got[i].size() - rpcap::kHeaderSize);
  }
  const auto cut = rpcap::decode_packet_header(
      std::span<const std::byte, rpcap::kPacketHeaderSize>(got[2].data() + 8, 20));
  EXPECT_EQ(got[2].size(), 1472u) << "cut rather than fragmented";
  EXPECT_EQ(cut.captured, 1472u - 28u);
  EXPECT_EQ(cut.length, 1500u);
  EXPECT_EQ(cut.number, 3u);
  EXPECT_EQ(output->counts().forwarded.value(), 3u);
  EXPECT_EQ(output->counts().truncated.value(), 1u);
}

}  // namespace
}  // namespace sidetap::forwarding
