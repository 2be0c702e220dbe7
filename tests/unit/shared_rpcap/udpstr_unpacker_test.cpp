#include "shared/rpcap/udpstr_unpacker.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "shared/rpcap/udpstr_packer.h"

namespace sidetap::rpcap {
namespace {

using Bytes = std::vector<std::byte>;

/// Datagrams of `count` packets whose bytes all hold the packet's number.
std::vector<Bytes> packed(std::uint32_t count, std::size_t size, std::size_t datagram) {
  UdpstrPacker packer(datagram, 1 << 20);
  for (std::uint32_t i = 1; i <= count; ++i) {
    const Bytes body(size, static_cast<std::byte>(i));
    packer.add({.captured = static_cast<std::uint32_t>(size),
                .length = static_cast<std::uint32_t>(size),
                .number = i},
               body, {}, [] { FAIL() << "the buffer is large enough"; });
  }
  packer.finish();
  std::vector<Bytes> datagrams;
  for (const auto& run : packer.runs()) {
    for (std::size_t at = 0; at < run.size; at += run.datagram) {
      const auto* begin = packer.data() + run.offset + at;
      datagrams.emplace_back(begin, begin + std::min(run.datagram, run.size - at));
    }
  }
  return datagrams;
}

struct Receiver {
  std::vector<std::uint32_t> numbers;
  UdpstrUnpacker unpacker{[this](const PacketHeader& header, std::span<const std::byte> bytes) {
    EXPECT_EQ(bytes.size(), header.captured);
    for (const std::byte b : bytes) EXPECT_EQ(b, static_cast<std::byte>(header.number));
    numbers.push_back(header.number);
  }};
};

TEST(UdpstrUnpacker, GivesBackWhatWasPacked) {
  Receiver receiver;
  for (const Bytes& datagram : packed(100, 700, 1472)) receiver.unpacker.add(datagram);
  EXPECT_EQ(receiver.numbers.size(), 100u);
  EXPECT_EQ(receiver.unpacker.counts().malformed, 0u);
  EXPECT_EQ(receiver.unpacker.counts().lost_datagrams, 0u);
}

TEST(UdpstrUnpacker, GoesOnAfterALossWithTheNextPacketThatIsWhole) {
  const auto datagrams = packed(100, 700, 1472);
  Receiver receiver;
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    if (i != 10) receiver.unpacker.add(datagrams[i]);
  }
  EXPECT_EQ(receiver.unpacker.counts().lost_datagrams, 1u);
  EXPECT_EQ(receiver.unpacker.counts().malformed, 0u);
  EXPECT_GE(receiver.numbers.size(), 96u) << "one datagram touches at most four packets";
  EXPECT_LT(receiver.numbers.size(), 100u);
  EXPECT_EQ(receiver.numbers.back(), 100u);
}

TEST(UdpstrUnpacker, LeavesALateDatagramAside) {
  auto datagrams = packed(20, 700, 1472);
  std::swap(datagrams[3], datagrams[4]);
  Receiver receiver;
  for (const Bytes& datagram : datagrams) receiver.unpacker.add(datagram);
  EXPECT_EQ(receiver.unpacker.counts().late_datagrams, 1u);
  EXPECT_EQ(receiver.unpacker.counts().lost_datagrams, 1u);
  EXPECT_EQ(receiver.numbers.back(), 20u);
}

TEST(UdpstrUnpacker, BeginsInTheMiddleOfAStream) {
  const auto datagrams = packed(50, 3000, 1472);
  Receiver receiver;
  for (std::size_t i = 7; i < datagrams.size(); ++i) receiver.unpacker.add(datagrams[i]);
  EXPECT_EQ(receiver.unpacker.counts().malformed, 0u);
  EXPECT_EQ(receiver.numbers.back(), 50u);
}

TEST(UdpstrUnpacker, CountsWhatContradictsTheFormat) {
  Bytes wrong_type = packed(1, 10, 1472).front();
  wrong_type[1] = std::byte{7};
  Bytes huge_packet = packed(1, 10, 1472).front();
  huge_packet[8 + 8] = std::byte{0xff};
  for (const Bytes& bytes : {Bytes(3), wrong_type, huge_packet}) {
    Receiver receiver;
    receiver.unpacker.add(bytes);
    EXPECT_EQ(receiver.unpacker.counts().malformed, 1u);
    EXPECT_TRUE(receiver.numbers.empty());
  }
}

TEST(UdpstrUnpacker, DoesNotBelieveAnIndexThatContradictsTheStream) {
  auto datagrams = packed(4, 700, 1472);
  datagrams[1][3] ^= std::byte{1};
  Receiver receiver;
  for (const Bytes& datagram : datagrams) receiver.unpacker.add(datagram);
  EXPECT_EQ(receiver.unpacker.counts().malformed, 1u);
}

TEST(UdpstrUnpacker, DeliversNoPacketWhoseEndContradictsTheNextHeader) {
  auto datagrams = packed(4, 1500, 1472);
  datagrams[1][3] ^= std::byte{2};
  Receiver receiver;
  for (const Bytes& datagram : datagrams) receiver.unpacker.add(datagram);
  EXPECT_EQ(receiver.unpacker.counts().broken_packets, 1u);
  EXPECT_EQ(receiver.unpacker.counts().malformed, 1u);
  EXPECT_NE(receiver.numbers.front(), 1u);
}

TEST(UdpstrUnpacker, FollowsASenderThatBeginsAnew) {
  Receiver receiver;
  const auto before = packed(1, 700, 1472);
  auto far = before.front();
  far[5] = std::byte{1};  // number 65536
  receiver.unpacker.add(far);
  receiver.numbers.clear();
  for (const Bytes& datagram : packed(20, 700, 1472)) receiver.unpacker.add(datagram);
  EXPECT_EQ(receiver.numbers.size(), 20u);
  EXPECT_EQ(receiver.unpacker.counts().restarts, 1u);
  EXPECT_EQ(receiver.unpacker.counts().lost_datagrams, 0u);
}

TEST(UdpstrUnpacker, CountsOnWhereTheSequenceNumberWraps) {
  auto datagrams = packed(4, 1400, 1472);
  ASSERT_GE(datagrams.size(), 4u);
  const auto number = [&](std::size_t at, std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i)
      datagrams[at][4 + i] = static_cast<std::byte>(value >> (24 - 8 * i));
  };
  number(0, 0xfffffffe);
  number(1, 0xffffffff);
  number(2, 0);
  number(3, 1);
  Receiver receiver;
  for (std::size_t i = 0; i < 4; ++i) receiver.unpacker.add(datagrams[i]);
  EXPECT_EQ(receiver.unpacker.counts().lost_datagrams, 0u);
  EXPECT_EQ(receiver.unpacker.counts().restarts, 0u);
  EXPECT_GE(receiver.numbers.size(), 3u);
}

TEST(UdpstrUnpacker, RefusesAFirstHeaderThatDoesNotFit) {
  for (const int first : {0, 7, 40 + 8, 0x7fff}) {
    auto datagram = packed(1, 40, 1472).front();
    datagram.resize(8 + 20 + 39);
    datagram[2] = static_cast<std::byte>(first >> 8);
    datagram[3] = static_cast<std::byte>(first);
    Receiver receiver;
    receiver.unpacker.add(datagram);
    EXPECT_EQ(receiver.unpacker.counts().malformed, 1u) << first;
  }
}

TEST(UdpstrUnpacker, HoldsMemoryOnlyForPacketsThatAreAllowed) {
  unsigned whole = 0;
  UdpstrUnpacker unpacker([&](const PacketHeader&, std::span<const std::byte>) { ++whole; }, 5'000);
  for (const Bytes& datagram : packed(1, 5'001, 1472)) unpacker.add(datagram);
  EXPECT_EQ(whole, 0U);
  EXPECT_EQ(unpacker.held(), 0U);
  EXPECT_GT(unpacker.counts().malformed, 0U);

  UdpstrUnpacker other([&](const PacketHeader&, std::span<const std::byte>) { ++whole; }, 5'000);
  const auto datagrams = packed(1, 5'000, 1472);
  for (std::size_t i = 0; i + 1 < datagrams.size(); ++i) other.add(datagrams[i]);
  EXPECT_GT(other.held(), 0U);
  other.trim();
  EXPECT_GT(other.held(), 0U) << "the packet still needs it";
  other.give_up_packet();
  EXPECT_EQ(other.held(), 0U);
  EXPECT_EQ(other.counts().broken_packets, 1U);
  other.add(datagrams.back());
  EXPECT_EQ(whole, 0U);
}

TEST(UdpstrUnpacker, SurvivesNoise) {
  std::mt19937 random(3);
  UdpstrUnpacker unpacker([](const PacketHeader&, std::span<const std::byte>) {});
  auto datagrams = packed(50, 900, 1472);
  for (int round = 0; round < 200; ++round) {
    for (Bytes datagram : datagrams) {
      for (int flips = 0; flips < 3; ++flips)
        datagram[random() % std::min<std::size_t>(datagram.size(), 40)] =
            static_cast<std::byte>(random());
      unpacker.add(std::span<const std::byte>(datagram).first(random() % (datagram.size() + 1)));
    }
  }
  EXPECT_GT(unpacker.counts().malformed, 0u);
}

}  // namespace
}  // namespace sidetap::rpcap
