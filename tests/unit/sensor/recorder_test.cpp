#include "tests/sensor/recorder.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <unistd.h>

#include "shared/rpcap/codec.h"

namespace sidetap::sensor {
namespace {

using rpcap::Bytes;

/// A whole PACKET message.
Bytes packet(std::uint32_t number, std::size_t size) {
  const auto bytes = static_cast<std::uint32_t>(size);
  Bytes message(rpcap::kHeaderSize + rpcap::kPacketHeaderSize + size,
                static_cast<std::byte>(number));
  rpcap::encode_header(
      {.version = 0,
       .type = rpcap::MessageType::kPacket,
       .value = 0,
       .payload_size = bytes + static_cast<std::uint32_t>(rpcap::kPacketHeaderSize)},
      std::span(message).first<rpcap::kHeaderSize>());
  rpcap::encode_packet_header(
      {.seconds = 1, .microseconds = 2, .captured = bytes, .length = bytes, .number = number},
      std::span(message).subspan<rpcap::kHeaderSize, rpcap::kPacketHeaderSize>());
  return message;
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

std::uint64_t total(const Recorder& recorder, const char* key) {
  return recorder.totals()[key].get<std::uint64_t>();
}

TEST(Recorder, AStreamMayComeInAnyPieces) {
  const Bytes stream = packet(1, 60) + packet(2, 0) + packet(3, 70'000) + packet(4, 1);
  for (const std::size_t piece : {1UL, 7UL, 28UL, 29UL, 65'536UL, stream.size()}) {
    Recorder recorder("peer", 0);
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      ASSERT_TRUE(
          recorder.on_stream(std::span(stream).subspan(at, std::min(piece, stream.size() - at))));
    }
    EXPECT_EQ(recorder.packets(), 4u) << piece;
    EXPECT_EQ(total(recorder, "bytes"), 70'061u) << piece;
    EXPECT_EQ(total(recorder, "malformed"), 0u) << piece;
  }
}

TEST(Recorder, AStreamOutOfStepIsNotReadOn) {
  Bytes wrong = packet(2, 10);
  wrong[1] = std::byte{9};
  Recorder recorder("peer", 0);
  EXPECT_FALSE(recorder.on_stream(packet(1, 10) + wrong + packet(3, 10)));
  EXPECT_FALSE(recorder.on_stream(packet(4, 10)));
  EXPECT_EQ(recorder.packets(), 1u);
  EXPECT_EQ(total(recorder, "malformed"), 1u);
}

TEST(Recorder, AHugeMessageIsRefusedBeforeItIsAwaited) {
  Bytes huge = packet(1, 10);
  huge[4] = std::byte{0x7f};
  EXPECT_FALSE(Recorder("peer", 0).on_stream(huge));
}

TEST(Recorder, LengthsThatDisagreeSpoilOnePacket) {
  Bytes wrong = packet(1, 10);
  wrong[rpcap::kHeaderSize + 11] = std::byte{9};  // captured
  Recorder recorder("peer", 0);
  EXPECT_TRUE(recorder.on_stream(wrong + packet(2, 10)));
  EXPECT_EQ(recorder.packets(), 1u);
  EXPECT_EQ(total(recorder, "malformed"), 1u);
}

TEST(Recorder, ADatagramIsWholeOrMalformed) {
  Recorder recorder("peer", 0);
  const Bytes whole = packet(1, 10);
  recorder.on_datagram(whole);
  recorder.on_datagram(std::span(whole).first(whole.size() - 1));
  recorder.on_datagram(whole);
  EXPECT_EQ(recorder.packets(), 2u);
  EXPECT_EQ(total(recorder, "malformed"), 1u);
  EXPECT_EQ(total(recorder, "datagrams"), 3u);
}

TEST(Recorder, GapsBetweenNumbersAreCountedAcrossTheirWrap) {
  Recorder recorder("peer", 0);
  for (const std::uint32_t number : {1u, 2u, 5u, 4u, 6u}) recorder.on_datagram(packet(number, 1));
  EXPECT_EQ(total(recorder, "missing_packets"), 2u) << "what comes late leaves the count alone";
  Recorder wrapped("peer", 0);
  for (const std::uint32_t number : {0x7fffffffu, 0xfffffffeu, 0xffffffffu, 1u})
    wrapped.on_datagram(packet(number, 1));
  EXPECT_EQ(total(wrapped, "missing_packets"), 0x7ffffffeu + 0x7ffffffeu + 1u);
}

TEST(Recorder, DropsOnRequestUnseen) {
  Recorder recorder("peer", 2);
  for (std::uint32_t number = 1; number <= 6; ++number) recorder.on_datagram(packet(number, 1));
  EXPECT_EQ(recorder.packets(), 3u);
  EXPECT_EQ(total(recorder, "dropped_on_request"), 3u);
}

TEST(Recorder, WritesACaptureFileThatOthersRead) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("sidetap-recorder-" + std::to_string(::getpid()) + ".pcap");
  {
    Recorder recorder("peer", 0);
    ASSERT_TRUE(recorder.open_file(path.string(), 113));
    recorder.on_datagram(packet(7, 3));
  }
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::filesystem::remove(path);
  ASSERT_EQ(bytes.size(), 24u + 16u + 3u);
  std::uint32_t numbers[10];
  std::memcpy(numbers, bytes.data(), sizeof numbers);
  EXPECT_EQ(numbers[0], 0xa1b2c3d4u);
  EXPECT_EQ(numbers[5], 113u);
  EXPECT_EQ(numbers[6], 1u);
  EXPECT_EQ(numbers[7], 2u);
  EXPECT_EQ(numbers[8], 3u);
  EXPECT_EQ(bytes.substr(40), "\7\7\7");
}

TEST(Recorder, SaysWhyAFileCannotBeWritten) {
  const auto opened = Recorder("peer", 0).open_file("/nonexistent/folder/x.pcap", 1);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text.find("/nonexistent/folder/x.pcap"), std::string::npos);
}

}  // namespace
}  // namespace sidetap::sensor
