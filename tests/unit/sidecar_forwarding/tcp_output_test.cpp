#include "sidecar/forwarding/tcp_output.h"

#include "shared/rpcap/codec.h"
#include "tests/unit/sidecar_forwarding/sockets.h"

namespace sidetap::forwarding {
namespace {

std::vector<std::byte> joined(const std::vector<std::vector<std::byte>>& parts) {
  std::vector<std::byte> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// Numbers and sizes of the packets in a stream; fails on anything that is no PACKET message.
std::vector<std::pair<std::uint32_t, std::uint32_t>> messages(
    const std::vector<std::byte>& stream) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> found;
  std::size_t at = 0;
  while (at + 28 <= stream.size()) {
    const auto header = rpcap::decode_header(std::span<const std::byte, 8>(stream.data() + at, 8));
    EXPECT_EQ(header.type, rpcap::MessageType::kPacket);
    const auto packet =
        rpcap::decode_packet_header(std::span<const std::byte, 20>(stream.data() + at + 8, 20));
    EXPECT_EQ(header.payload_size, packet.captured + 20);
    if (at + 8 + header.payload_size > stream.size()) break;
    found.emplace_back(packet.number, packet.captured);
    at += 8 + header.payload_size;
  }
  return found;
}

OutgoingPacket packet_of(std::span<const std::byte> head, std::span<const std::byte> body,
                         std::uint32_t number) {
  const auto size = static_cast<std::uint32_t>(head.size() + body.size());
  return {
      .header = {.captured = size, .length = size, .number = number}, .head = head, .body = body};
}

TEST(TcpOutput, SendsMessagesOneAfterTheOther) {
  Pair pair = tcp_pair();
  auto output = make_tcp_output(std::move(pair.tap), nullptr, nullptr);
  const std::vector<std::byte> head(14, std::byte{1});
  const std::vector<std::byte> body(1000, std::byte{2});
  for (std::uint32_t i = 1; i <= 20; ++i) output->add(packet_of(head, body, i));
  output->flush();
  const auto got = messages(joined(receive_all(pair.sensor.get())));
  ASSERT_EQ(got.size(), 20u);
  EXPECT_EQ(got.back(), std::make_pair(20u, 1014u));
  EXPECT_EQ(output->counts().forwarded.value(), 20u);
}

TEST(TcpOutput, KeepsTheLengthOfPacketsBeyond65535) {
  Pair pair = tcp_pair();
  auto output = make_tcp_output(std::move(pair.tap), nullptr, nullptr);
  const std::vector<std::byte> body(200'000, std::byte{3});
  output->add(packet_of({}, body, 1));
  output->flush();
  std::vector<std::byte> stream;
  for (int i = 0; i < 20 && stream.size() < 200'028; ++i) {
    const auto more = joined(receive_all(pair.sensor.get()));
    stream.insert(stream.end(), more.begin(), more.end());
    output->flush();
  }
  const auto got = messages(stream);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].second, 200'000u);
}

TEST(TcpOutput, DropsWholePacketsWhileTheSensorReadsNothingAndStaysInStep) {
  Pair pair = tcp_pair();
  auto output = make_tcp_output(std::move(pair.tap), nullptr, nullptr);
  const std::vector<std::byte> body(60'000, std::byte{4});
  constexpr std::uint32_t kSent = 400;
  for (std::uint32_t i = 1; i <= kSent; ++i) output->add(packet_of({}, body, i));
  EXPECT_GE(output->blocked_descriptor(), 0);
  EXPECT_GT(output->counts().dropped[static_cast<unsigned>(DropCause::kSocketFull)].value(), 0u);

  std::vector<std::byte> stream;
  while (output->counts().forwarded.value() + output->counts().dropped_total() < kSent) {
    const auto more = joined(receive_all(pair.sensor.get()));
    stream.insert(stream.end(), more.begin(), more.end());
    output->flush();
  }
  const auto more = joined(receive_all(pair.sensor.get()));
  stream.insert(stream.end(), more.begin(), more.end());
  const auto got = messages(stream);
  EXPECT_EQ(got.size(), output->counts().forwarded.value());
  EXPECT_EQ(got.size() + output->counts().dropped_total(), kSent);
}

TEST(TcpOutput, CountsWhatALostConnectionTookWithIt) {
  Pair pair = tcp_pair();
  int faults = 0;
  auto output = make_tcp_output(std::move(pair.tap), nullptr, [&](std::string) { ++faults; });
  const linger reset{1, 0};
  setsockopt(pair.sensor.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  pair.sensor.reset();
  const std::vector<std::byte> body(1000, std::byte{5});
  for (std::uint32_t i = 1; i <= 10; ++i) {
    output->add(packet_of({}, body, i));
    output->flush();
  }
  EXPECT_EQ(faults, 1);
  EXPECT_EQ(output->counts().forwarded.value() + output->counts().dropped_total(), 10u);
  EXPECT_GE(output->counts().dropped_total(), 9u);
}

TEST(TcpOutput, EndsInOrderAlthoughTheSensorHasSentBytesThatNobodyReads) {
  Pair pair = tcp_pair();
  const int sensor = pair.sensor.get();
  auto output = make_tcp_output(std::move(pair.tap), nullptr, nullptr);
  const std::string tickets(500, 't');
  ASSERT_EQ(::send(sensor, tickets.data(), tickets.size(), 0), 500);
  const std::vector<std::byte> body(60'000, std::byte{7});
  for (std::uint32_t i = 1; output->blocked_descriptor() < 0; ++i)
    output->add(packet_of({}, body, i));
  output->finish();
  const std::uint64_t forwarded = output->counts().forwarded.value();
  ASSERT_GT(forwarded, 10U);
  output.reset();
  // What the socket has taken is still on its way: the sensor reads it all.
  std::vector<std::byte> stream;
  std::vector<std::byte> piece(1U << 20);
  for (;;) {
    const ssize_t got = ::recv(sensor, piece.data(), piece.size(), 0);
    ASSERT_GE(got, 0) << "the connection was reset";
    if (got == 0) break;
    stream.insert(stream.end(), piece.begin(), piece.begin() + got);
  }
  EXPECT_EQ(messages(stream).size(), forwarded);
}

TEST(TcpOutput, GivesUpAtTheEndWhatAStalledSensorDoesNotTake) {
  Pair pair = tcp_pair();
  auto output = make_tcp_output(std::move(pair.tap), nullptr, nullptr);
  const std::vector<std::byte> body(60'000, std::byte{6});
  for (std::uint32_t i = 1; i <= 200; ++i) output->add(packet_of({}, body, i));
  output->finish();
  EXPECT_EQ(output->counts().forwarded.value() + output->counts().dropped_total(), 200u);
}

}  // namespace
}  // namespace sidetap::forwarding
