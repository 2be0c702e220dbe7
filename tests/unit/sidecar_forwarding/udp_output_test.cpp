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

constexpr std::size_t kPathSize = 1472;

/// Reads as long as the output has something, and unpacks it.
struct SlowSensor {
  explicit SlowSensor(net::UniqueFd from) : socket(std::move(from)) {}

  net::UniqueFd socket;
  std::uint32_t packets = 0;
  std::uint32_t last = 0;
  rpcap::UdpstrUnpacker unpacker{
      [this](const rpcap::PacketHeader& header, std::span<const std::byte>) {
        EXPECT_GT(header.number, last) << "in order";
        last = header.number;
        ++packets;
      }};

  void read_all(Output& output, std::uint32_t added) {
    const auto settled = [&] {
      return output.counts().forwarded.value() + output.counts().dropped_total();
    };
    for (int round = 0; settled() < added && round < 10'000; ++round) {
      read();
      output.flush();
    }
    read();
    EXPECT_EQ(settled(), added);
  }
  void read() {
    // A socket that knows no segments gets a run as one datagram.
    for (const auto& piece : receive_now(socket.get())) {
      const std::span<const std::byte> bytes(piece);
      for (std::size_t at = 0; at < bytes.size(); at += kPathSize)
        unpacker.add(bytes.subspan(at, std::min(kPathSize, bytes.size() - at)));
    }
  }
};

/// Adds packets until the socket is full, and as many more. Returns how many those are.
std::uint32_t fill_up(Output& output, const std::vector<std::byte>& bytes, std::uint32_t more) {
  std::uint32_t added = 0;
  while (output.takes_more() && added < 10'000) output.add(packet_of(bytes, ++added));
  EXPECT_GE(output.blocked_descriptor(), 0);
  for (; more != 0; --more) output.add(packet_of(bytes, ++added));
  return added;
}

TEST(UdpstrOutput, KeepsWhatTheSocketDoesNotTake) {
  Pair pair = stalling_pair();
  auto output = make_udpstr_output(std::move(pair.tap), kPathSize, nullptr);
  const std::uint32_t added = fill_up(*output, bytes_of(1000), 200);
  EXPECT_FALSE(output->takes_more());
  SlowSensor sensor(std::move(pair.sensor));
  sensor.read_all(*output, added);
  EXPECT_EQ(sensor.packets, added);
  EXPECT_EQ(sensor.unpacker.counts().lost_datagrams, 0u);
  EXPECT_EQ(output->counts().dropped_total(), 0u);
  EXPECT_TRUE(output->takes_more());
  EXPECT_EQ(output->blocked_descriptor(), -1);
}

TEST(UdpstrOutput, DropsWholePacketsBeyondWhatItKeeps) {
  Pair pair = stalling_pair();
  auto output = make_udpstr_output(std::move(pair.tap), kPathSize, nullptr);
  const std::uint32_t added = fill_up(*output, bytes_of(20'000), 200);
  const std::uint64_t lost = dropped(*output, DropCause::kSocketFull);
  EXPECT_GT(lost, 0u);
  SlowSensor sensor(std::move(pair.sensor));
  sensor.read_all(*output, added);
  EXPECT_EQ(sensor.packets + lost, added);
  EXPECT_EQ(sensor.unpacker.counts().lost_datagrams, 0u);
  EXPECT_EQ(output->counts().dropped_total(), lost);
}

TEST(UdpstrOutput, GivesUpAtTheEndWhatTheSocketDoesNotTake) {
  Pair pair = stalling_pair();
  auto output = make_udpstr_output(std::move(pair.tap), kPathSize, nullptr);
  const std::uint32_t added = fill_up(*output, bytes_of(1000), 200);
  output->finish();
  EXPECT_EQ(output->counts().forwarded.value() + output->counts().dropped_total(), added);
  EXPECT_GE(dropped(*output, DropCause::kSocketFull), 200u);
}

TEST(PlainUdpOutput, KeepsWhatTheSocketDoesNotTakeUpToItsBound) {
  Pair pair = stalling_pair();
  auto output = make_plain_udp_output(std::move(pair.tap), kPathSize, nullptr);
  const std::uint32_t added = fill_up(*output, bytes_of(1000), 2000);
  const std::uint64_t lost = dropped(*output, DropCause::kSocketFull);
  EXPECT_GT(lost, 0u);
  EXPECT_LT(lost, 1200u);
  std::size_t bytes = 0;
  for (int round = 0; !output->takes_more() && round < 10'000; ++round) {
    for (const auto& piece : receive_now(pair.sensor.get())) bytes += piece.size();
    output->flush();
  }
  for (const auto& piece : receive_now(pair.sensor.get())) bytes += piece.size();
  EXPECT_EQ(bytes, (added - lost) * 1028);
  EXPECT_EQ(output->counts().forwarded.value(), added - lost);
  EXPECT_EQ(output->counts().dropped_total(), lost);
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
