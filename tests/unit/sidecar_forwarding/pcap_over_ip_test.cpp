#include "sidecar/forwarding/pcap_over_ip.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/sidecar_forwarding/pcapng_blocks.h"
#include "tests/unit/sidecar_forwarding/sockets.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kPcapHeader = 24;
constexpr std::size_t kPcapRecord = 16;
constexpr std::size_t kLeastBuffer = 512U << 10;

std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t word = 0;
  if (at + sizeof word <= bytes.size()) std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

/// A reader whose socket holds little, and what it has read.
class StreamReader {
 public:
  explicit StreamReader(int socket) : socket_(socket) {}

  /// What has arrived, and what arrives while there is something.
  void read_on() {
    std::vector<std::byte> piece(256 * 1024);
    pollfd ready{socket_, POLLIN, 0};
    while (poll(&ready, 1, 20) > 0) {
      const auto size = recv(socket_, piece.data(), piece.size(), 0);
      if (size <= 0) return;
      read_.insert(read_.end(), piece.begin(), piece.begin() + size);
    }
  }
  const std::vector<std::byte>& bytes() const { return read_; }

  /// The number that each whole packet of a pcap stream begins with.
  std::vector<std::uint32_t> numbers() const {
    std::vector<std::uint32_t> numbers;
    std::size_t at = kPcapHeader;
    while (at + kPcapRecord <= read_.size()) {
      const std::size_t captured = word_at(read_, at + 8);
      EXPECT_LE(captured, 2000u) << "out of step";
      if (captured > 2000 || at + kPcapRecord + captured > read_.size()) break;
      numbers.push_back(word_at(read_, at + kPcapRecord));
      at += kPcapRecord + captured;
    }
    return numbers;
  }
  /// Block types of a pcapng stream, and for packets the interface: {6, 1}.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks() const {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks;
    std::size_t at = 0;
    while (at + 12 <= read_.size()) {
      const std::uint32_t type = word_at(read_, at);
      const std::size_t length = word_at(read_, at + 4);
      if (length < 12 || at + length > read_.size()) break;
      blocks.emplace_back(type, type == 6 || type == 5 ? word_at(read_, at + 8) : 0);
      at += length;
    }
    EXPECT_EQ(at, read_.size()) << "no whole blocks";
    return blocks;
  }

 private:
  int socket_;
  std::vector<std::byte> read_;
};

void hold_little(const Pair& pair) {
  const int bytes = 32 * 1024;
  setsockopt(pair.tap.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  setsockopt(pair.sensor.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void add_to_stream(Output& output, std::uint32_t number, std::size_t size,
                   std::uint32_t origin = 0) {
  std::vector<std::byte> head(sizeof number);
  std::memcpy(head.data(), &number, sizeof number);
  const std::vector<std::byte> body(size - head.size(), std::byte{7});
  OutgoingPacket packet{.header = {.captured = static_cast<std::uint32_t>(size),
                                   .length = static_cast<std::uint32_t>(size)},
                        .head = head,
                        .body = body};
  packet.origin = origin;
  output.add(packet);
}

std::uint64_t dropped_by(const Output& output, DropCause cause) {
  return output.counts().dropped[static_cast<unsigned>(cause)].value();
}

TEST(PcapOverIp, BeginsTheStreamBeforeThereIsAPacket) {
  Pair pair = tcp_pair();
  auto output = make_pcap_over_ip_output(std::move(pair.tap), {}, nullptr);
  StreamReader reader(pair.sensor.get());
  output->flush();
  reader.read_on();
  ASSERT_EQ(reader.bytes().size(), kPcapHeader);
  EXPECT_EQ(word_at(reader.bytes(), 0), 0xa1b2c3d4u);
  EXPECT_EQ(output->counts().forwarded.value(), 0u) << "a header is no packet";

  for (std::uint32_t i = 0; i < 50; ++i) add_to_stream(*output, i, 60 + i);
  output->flush();
  reader.read_on();
  EXPECT_EQ(reader.numbers().size(), 50u);
  EXPECT_EQ(output->counts().forwarded.value(), 50u);
}

TEST(PcapOverIp, ASlowReaderLosesItsOwnPacketsOnlyAndStaysInStep) {
  Pair fast_pair = tcp_pair();
  Pair slow_pair = tcp_pair();
  hold_little(slow_pair);
  const auto fast =
      make_pcap_over_ip_output(std::move(fast_pair.tap), {.buffer_bytes = kLeastBuffer}, nullptr);
  const auto slow =
      make_pcap_over_ip_output(std::move(slow_pair.tap), {.buffer_bytes = kLeastBuffer}, nullptr);
  StreamReader fast_reader(fast_pair.sensor.get());
  StreamReader slow_reader(slow_pair.sensor.get());
  constexpr std::uint32_t kPackets = 2000;
  for (std::uint32_t i = 0; i < kPackets; ++i) {
    add_to_stream(*fast, i, 1500);
    add_to_stream(*slow, i, 1500);
    if (i % 100 != 99) continue;
    fast->flush();
    slow->flush();
    fast_reader.read_on();
  }
  for (int i = 0; i < 1000 && !fast->takes_more(); ++i) {
    fast->flush();
    fast_reader.read_on();
  }
  EXPECT_EQ(fast_reader.numbers().size(), kPackets);
  EXPECT_FALSE(slow->takes_more());
  EXPECT_GE(slow->blocked_descriptor(), 0);
  const std::uint64_t dropped = dropped_by(*slow, DropCause::kSocketFull);
  EXPECT_GT(dropped, 0u);

  // It wakes up, and gets what it is sent from now on.
  for (int i = 0; i < 1000 && !slow->takes_more(); ++i) {
    slow_reader.read_on();
    slow->flush();
  }
  slow_reader.read_on();
  add_to_stream(*slow, kPackets, 1500);
  slow->finish();
  slow_reader.read_on();
  const auto numbers = slow_reader.numbers();
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  EXPECT_EQ(numbers.back(), kPackets);
  EXPECT_EQ(numbers.size(), kPackets + 1 - dropped);
  EXPECT_EQ(slow->counts().forwarded.value(), numbers.size());
}

TEST(PcapOverIp, GivesUpAReaderThatTakesNothing) {
  Pair pair = tcp_pair();
  hold_little(pair);
  std::vector<ReaderFault> faults;
  const auto output = make_pcap_over_ip_output(
      std::move(pair.tap), {.buffer_bytes = kLeastBuffer, .patience = std::chrono::milliseconds(1)},
      [&](ReaderFault fault, const std::string&) { faults.push_back(fault); });
  constexpr std::uint32_t kPackets = 1000;
  for (std::uint32_t i = 0; i < kPackets; ++i) add_to_stream(*output, i, 1500);
  for (int i = 0; i < 1000 && faults.empty(); ++i) {
    output->flush();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(faults, std::vector{ReaderFault::kStalled});
  EXPECT_EQ(output->counts().forwarded.value() + dropped_by(*output, DropCause::kSocketFull),
            kPackets);
  add_to_stream(*output, 0, 100);
  EXPECT_EQ(dropped_by(*output, DropCause::kDisconnected), 1u);
  EXPECT_FALSE(output->takes_more());
  EXPECT_EQ(output->blocked_descriptor(), -1);
  output->finish();
  EXPECT_EQ(faults.size(), 1u);
}

TEST(PcapOverIp, TellsThatItsReaderHasGone) {
  Pair pair = tcp_pair();
  std::vector<ReaderFault> faults;
  const auto output = make_pcap_over_ip_output(
      std::move(pair.tap), {},
      [&](ReaderFault fault, const std::string&) { faults.push_back(fault); });
  pair.sensor.reset();
  std::uint32_t added = 0;
  for (; added < 1000 && faults.empty(); ++added) {
    add_to_stream(*output, added, 100);
    output->flush();
  }
  EXPECT_EQ(faults, std::vector{ReaderFault::kLost});
  EXPECT_EQ(output->counts().forwarded.value() + output->counts().dropped_total(), added);
}

TEST(PcapOverIp, WhatIsDroppedOfATapThatConnectsAgainCountsForItsPod) {
  const auto taps = std::make_shared<TapIdentities>();
  for (const std::uint32_t origin : {1U, 2U})
    taps->add(origin,
              {.from = {}, .description = "shop/web-1", .interface = "eth0", .addresses = {}});
  Pair pair = tcp_pair();
  hold_little(pair);
  const auto output = make_pcap_over_ip_output(
      std::move(pair.tap),
      {.heading = {.format = CaptureFormat::kPcapng, .interfaces = {InterfaceLabel{.name = "all"}}},
       .identities = taps,
       .buffer_bytes = kLeastBuffer},
      nullptr);
  for (std::uint32_t i = 0; i < 1000; ++i) add_to_stream(*output, i, 1500, 1);
  const std::uint64_t before = dropped_by(*output, DropCause::kSocketFull);
  ASSERT_GT(before, 0u);
  for (std::uint32_t i = 0; i < 5; ++i) add_to_stream(*output, i, 1500, 2);
  ASSERT_EQ(dropped_by(*output, DropCause::kSocketFull), before + 5);
  StreamReader reader(pair.sensor.get());
  for (int i = 0; i < 1000 && !output->takes_more(); ++i) {
    reader.read_on();
    output->flush();
  }
  reader.read_on();
  output->finish();
  reader.read_on();
  EXPECT_EQ(told_by(reader.bytes()).back(), "1 has 1005, dropped " + std::to_string(before + 5));
}

TEST(PcapOverIp, NumbersTheInterfacesForEachReader) {
  const auto taps = std::make_shared<TapIdentities>();
  taps->add(1, {.from = {}, .description = "shop/web-1", .interface = "eth0", .addresses = {}});
  taps->add(2, {.from = {}, .description = "shop/web-2", .interface = "eth0", .addresses = {}});
  const CaptureStreamConfig config{
      .heading = {.format = CaptureFormat::kPcapng, .interfaces = {InterfaceLabel{.name = "taps"}}},
      .identities = taps};
  Pair first_pair = tcp_pair();
  Pair second_pair = tcp_pair();
  const auto first = make_pcap_over_ip_output(std::move(first_pair.tap), config, nullptr);
  const auto second = make_pcap_over_ip_output(std::move(second_pair.tap), config, nullptr);
  for (const std::uint32_t origin : {1U, 2U, 1U}) add_to_stream(*first, 0, 60, origin);
  add_to_stream(*second, 0, 60, 2);
  first->finish();
  second->finish();

  using Blocks = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  StreamReader reader(first_pair.sensor.get());
  reader.read_on();
  EXPECT_EQ(reader.blocks(), (Blocks{{0x0a0d0d0a, 0},
                                     {1, 0},
                                     {1, 0},
                                     {6, 1},
                                     {1, 0},
                                     {6, 2},
                                     {6, 1},
                                     {5, 0},
                                     {5, 1},
                                     {5, 2}}));
  StreamReader other(second_pair.sensor.get());
  other.read_on();
  EXPECT_EQ(other.blocks(), (Blocks{{0x0a0d0d0a, 0}, {1, 0}, {1, 0}, {6, 1}, {5, 0}, {5, 1}}));
}

}  // namespace
}  // namespace sidetap::forwarding
