// The packets of one tap, and what a hostile one may send instead.
#include "sidecar/collector/tap_feed.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_collector/packed_packets.h"

namespace sidetap::collector {
namespace {

class TapFeedTest : public testing::Test {
 protected:
  TapFeedTest() { sink.handler = &keeper; }

  void feed_datagrams(const std::vector<PacketBytes>& datagrams) {
    for (const PacketBytes& datagram : datagrams) feed.on_datagram(datagram);
  }

  PacketKeeper keeper;
  FeedSink sink;
  TapFeed feed{7, 65'536, sink};
};

TEST_F(TapFeedTest, GivesBackWhatATapHasPacked) {
  feed_datagrams(packed_datagrams(1, 100, 1'400));
  ASSERT_EQ(keeper.packets.size(), 100U);
  for (std::uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(keeper.packets[i].origin, 7U);
    EXPECT_EQ(keeper.packets[i].seconds, 1'001 + i);
    EXPECT_EQ(keeper.packets[i].nanoseconds, 5'000U);
    EXPECT_EQ(keeper.packets[i].bytes, PacketBytes(1'400, static_cast<std::byte>(i + 1)));
  }
  EXPECT_EQ(feed.counts().packets, 100U);
  EXPECT_EQ(feed.counts().bytes, 140'000U);
  EXPECT_EQ(feed.counts().missing_packets, 0U);
  EXPECT_EQ(sink.delivered, 100U);
}

TEST_F(TapFeedTest, CountsWhatALostDatagramTakesWithIt) {
  auto datagrams = packed_datagrams(1, 100, 700);
  datagrams.erase(datagrams.begin() + 10);
  feed_datagrams(datagrams);
  const TapCounts counts = feed.counts();
  EXPECT_EQ(counts.lost_datagrams, 1U);
  EXPECT_EQ(counts.packets + counts.missing_packets, 100U);
  EXPECT_EQ(sink.missing, counts.missing_packets);
  EXPECT_GT(counts.missing_packets, 0U);
}

TEST_F(TapFeedTest, CountsWhatTheTapCouldNotSend) {
  feed.on_datagram(packed_datagrams(1, 1, 50)[0]);
  feed.on_datagram(packet_message(5, 50));
  EXPECT_EQ(feed.counts().packets, 2U);
  EXPECT_EQ(feed.counts().missing_packets, 3U);
}

TEST_F(TapFeedTest, AJumpOfTheNumbersIsNoLoss) {
  feed.on_datagram(packet_message(1, 50));
  feed.on_datagram(packet_message(0x70000000, 50));
  feed.on_datagram(packet_message(3, 50));
  EXPECT_EQ(feed.counts().packets, 3U);
  EXPECT_EQ(feed.counts().missing_packets, 0U);
  EXPECT_EQ(feed.counts().restarts, 2U);

  PacketBytes datagram = packed_datagrams(4, 4, 50)[0];
  feed.on_datagram(datagram);
  datagram[4] = std::byte{0x70};
  feed.on_datagram(datagram);
  EXPECT_EQ(feed.counts().lost_datagrams, 0U);
}

TEST_F(TapFeedTest, TheNumbersWrap) {
  feed.on_datagram(packet_message(0xffffffff, 50));
  feed.on_datagram(packet_message(0, 50));
  feed.on_datagram(packet_message(1, 50));
  EXPECT_EQ(feed.counts().missing_packets, 0U);
}

TEST_F(TapFeedTest, WhatTheOperatorsFilterRefusesIsCounted) {
  // ldb [0]; jeq #2, accept; ret #0.
  sink.filter = {{.code = 0x30, .jt = 0, .jf = 0, .k = 0},
                 {.code = 0x15, .jt = 0, .jf = 1, .k = 2},
                 {.code = 0x06, .jt = 0, .jf = 0, .k = 1},
                 {.code = 0x06, .jt = 0, .jf = 0, .k = 0}};
  feed_datagrams(packed_datagrams(1, 3, 50));
  ASSERT_EQ(keeper.packets.size(), 1U);
  EXPECT_EQ(keeper.packets[0].bytes, PacketBytes(50, std::byte{2}));
  EXPECT_EQ(feed.counts().packets, 3U);
  EXPECT_EQ(feed.counts().filtered, 2U);
  EXPECT_EQ(sink.delivered, 1U);
  EXPECT_EQ(sink.missing, 0U);
}

TEST_F(TapFeedTest, TakesAStreamInAnyPieces) {
  PacketBytes stream;
  for (std::uint32_t i = 1; i <= 200; ++i) {
    const PacketBytes message = packet_message(i, i * 3);
    stream.insert(stream.end(), message.begin(), message.end());
  }
  std::mt19937 random(3);
  PacketBytes rest;
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t here = std::min<std::size_t>(random() % 900, stream.size() - at);
    rest.insert(rest.end(), stream.begin() + static_cast<std::ptrdiff_t>(at),
                stream.begin() + static_cast<std::ptrdiff_t>(at + here));
    at += here;
    const auto taken = feed.on_stream(rest);
    ASSERT_TRUE(taken);
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(*taken));
  }
  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(feed.counts().packets, 200U);
  EXPECT_EQ(feed.counts().missing_packets, 0U);
}

TEST_F(TapFeedTest, AStreamOfSomethingElseIsRefusedAtOnce) {
  PacketBytes other = packet_message(1, 50);
  other[1] = std::byte{9};
  EXPECT_FALSE(feed.on_stream(other));
  PacketBytes huge = packet_message({.captured = 65'537, .length = 65'537, .number = 1}, 0);
  EXPECT_FALSE(feed.on_stream(huge)) << "before its bytes are there";
  PacketBytes lying = packet_message({.captured = 40, .length = 50, .number = 1}, 50);
  EXPECT_FALSE(feed.on_stream(lying)) << "the two lengths contradict each other";
  PacketBytes longer = packet_message({.captured = 50, .length = 40, .number = 1}, 50);
  EXPECT_FALSE(feed.on_stream(longer)) << "longer than it was on the wire";
  EXPECT_EQ(feed.counts().malformed, 4U);
  EXPECT_TRUE(keeper.packets.empty());
}

TEST_F(TapFeedTest, APlainDatagramHoldsOnePacketAndNothingElse) {
  PacketBytes more = packet_message(1, 50);
  more.resize(more.size() + 3);
  feed.on_datagram(more);
  EXPECT_EQ(feed.counts().malformed, 1U);
  PacketBytes less = packet_message(2, 50);
  less.pop_back();
  feed.on_datagram(less);
  EXPECT_EQ(feed.counts().malformed, 2U);
}

TEST_F(TapFeedTest, KnowsTheFirstDatagramOfACapture) {
  const auto packed = packed_datagrams(1, 9, 100, 128);
  EXPECT_TRUE(TapFeed::begins_capture(packed.front()));
  EXPECT_FALSE(TapFeed::begins_capture(packed.back()));
  EXPECT_TRUE(TapFeed::begins_capture(packet_message(1, 50)));
  EXPECT_FALSE(TapFeed::begins_capture(packet_message(2, 50)));
  EXPECT_FALSE(TapFeed::begins_capture({}));
  const PacketBytes plain = packet_message(1, 0);
  EXPECT_FALSE(TapFeed::begins_capture({plain.begin(), plain.end() - 1}));
}

TEST_F(TapFeedTest, ATimeIsATimeWhateverTheTapSays) {
  rpcap::PacketHeader header = header_of_packet(1, 50);
  header.microseconds = 0xffffffff;
  feed.on_datagram(packet_message(header, 50));
  ASSERT_EQ(keeper.packets.size(), 1U);
  EXPECT_EQ(keeper.packets[0].nanoseconds, 999'999'000U);
}

TEST_F(TapFeedTest, HoldsNoMoreThanTwiceAPacket) {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    for (PacketBytes& datagram : packed_datagrams(1, 3, 60'000)) {
      datagram[4] = static_cast<std::byte>(seed);
      feed.on_datagram(datagram);
      EXPECT_LE(feed.held(), 2U * 65'536);
    }
  }
  feed.give_up_packet();
  EXPECT_EQ(feed.held(), 0U);
}

}  // namespace
}  // namespace sidetap::collector
