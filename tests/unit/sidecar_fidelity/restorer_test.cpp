#include "sidecar/fidelity/restorer.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/fidelity/checksum.h"

namespace sidetap::fidelity {
namespace {

using Bytes = std::vector<std::byte>;

void put16(Bytes& b, unsigned v) {
  b.push_back(static_cast<std::byte>(v >> 8));
  b.push_back(static_cast<std::byte>(v));
}
unsigned get16(const Bytes& b, std::size_t at) {
  return std::to_integer<unsigned>(b[at]) << 8 | std::to_integer<unsigned>(b[at + 1]);
}
unsigned get32(const Bytes& b, std::size_t at) { return get16(b, at) << 16 | get16(b, at + 2); }

/// What the tests need to say of a packet.
struct Shape {
  bool v6 = false;
  std::uint8_t protocol = 6;
  std::size_t payload = 1000;
  bool vlan = false;
  unsigned flags = 0x18;  // PSH, ACK
  std::size_t padding = 0;
};

struct Packet {
  Bytes bytes;
  std::size_t network = 14;
  std::size_t transport = 34;
  std::size_t data = 54;
};

unsigned pseudo_header(const Packet& p, bool v6, unsigned protocol, std::size_t length) {
  const std::span<const std::byte> all(p.bytes);
  const auto addresses = v6 ? all.subspan(p.network + 8, 32) : all.subspan(p.network + 12, 8);
  return fold(sum_words(addresses) + protocol + length);
}

/// A packet as the kernel hands it to a tap: the checksum field holds the pseudo-header's sum.
Packet offloaded(const Shape& shape) {
  Packet p;
  Bytes& b = p.bytes;
  b.assign(12, std::byte{2});
  if (shape.vlan) {
    put16(b, 0x8100);
    put16(b, 5);
  }
  put16(b, shape.v6 ? 0x86dd : 0x0800);
  p.network = b.size();
  const std::size_t header = shape.protocol == 6 ? 20 : shape.protocol == 17 ? 8 : 12;
  const std::size_t behind = header + shape.payload;
  if (shape.v6) {
    put16(b, 0x6000);
    put16(b, 0);
    put16(b, static_cast<unsigned>(behind));
    put16(b, shape.protocol << 8 | 64U);
    for (int i = 0; i < 32; ++i) b.push_back(static_cast<std::byte>(i * 5 + 1));
    b[p.network + 8] = std::byte{0x20};
    b[p.network + 24] = std::byte{0x20};
  } else {
    put16(b, 0x4500);
    put16(b, static_cast<unsigned>(20 + behind));
    put16(b, 0xfffe);  // wraps while segments count
    put16(b, 0x4000);
    put16(b, 64U << 8 | shape.protocol);
    put16(b, 0);
    for (int i = 0; i < 8; ++i) b.push_back(static_cast<std::byte>(10 + i));
    const auto sum = fold(sum_words(std::span<const std::byte>(b).subspan(p.network, 20)));
    b[p.network + 10] = static_cast<std::byte>(~sum >> 8);
    b[p.network + 11] = static_cast<std::byte>(~sum);
  }
  p.transport = b.size();
  put16(b, 40000);
  put16(b, 443);
  const unsigned pseudo = pseudo_header(p, shape.v6, shape.protocol, behind);
  if (shape.protocol == 6) {
    put16(b, 0xffff);  // a sequence number that wraps
    put16(b, 0xff00);
    put16(b, 0);
    put16(b, 1);
    put16(b, 0x5000 | shape.flags);
    put16(b, 512);
    put16(b, pseudo);
    put16(b, 0);
  } else if (shape.protocol == 17) {
    put16(b, static_cast<unsigned>(behind));
    put16(b, pseudo);
  } else {
    put16(b, 1);
    put16(b, 2);
    put16(b, 0);
    put16(b, 0);
  }
  p.data = b.size();
  std::mt19937 random(static_cast<unsigned>(shape.payload));
  for (std::size_t i = 0; i < shape.payload; ++i) b.push_back(static_cast<std::byte>(random()));
  b.insert(b.end(), shape.padding, std::byte{0});
  return p;
}

capture::CapturedPacket captured(const Bytes& bytes) {
  capture::CapturedPacket packet;
  packet.bytes = bytes;
  packet.length = static_cast<std::uint32_t>(bytes.size());
  return packet;
}

std::vector<Bytes> restored(Restorer& restorer, const capture::CapturedPacket& packet) {
  const auto view = capture::parse_packet(capture::LinkType::kEthernet, packet.bytes);
  std::vector<Bytes> wire;
  const std::uint32_t count = restorer.begin(view, packet);
  for (std::uint32_t i = 0; i < count; ++i) {
    const WirePacket one = restorer.next();
    Bytes bytes(one.head.begin(), one.head.end());
    bytes.insert(bytes.end(), one.body.begin(), one.body.end());
    EXPECT_EQ(one.length, bytes.size());
    wire.push_back(std::move(bytes));
  }
  return wire;
}

std::vector<Bytes> restored(const Bytes& bytes, RestorerConfig config = {}) {
  Restorer restorer(config);
  return restored(restorer, captured(bytes));
}

/// The receiver's test: header and transport checksums over what arrived.
void expect_valid(const Bytes& bytes, const Packet& original, bool v6, unsigned protocol) {
  Packet p = original;
  p.bytes = bytes;
  const std::size_t length = v6 ? get16(bytes, p.network + 4) : get16(bytes, p.network + 2) - 20U;
  ASSERT_LE(p.transport + length, bytes.size());
  const std::span<const std::byte> all(bytes);
  if (!v6) {
    EXPECT_EQ(fold(sum_words(all.subspan(p.network, 20))), 0xffff);
  }
  EXPECT_EQ(
      fold(pseudo_header(p, v6, protocol, length) + sum_words(all.subspan(p.transport, length))),
      0xffff);
}

class EachKind : public testing::TestWithParam<Shape> {};

TEST_P(EachKind, PartialChecksumIsCompleted) {
  const Shape shape = GetParam();
  const Packet p = offloaded(shape);
  const auto wire = restored(p.bytes);
  ASSERT_EQ(wire.size(), 1u);
  EXPECT_EQ(wire[0].size(), p.bytes.size());
  expect_valid(wire[0], p, shape.v6, shape.protocol);
  // A second time there is nothing left to do.
  EXPECT_EQ(restored(wire[0])[0], wire[0]);
}

INSTANTIATE_TEST_SUITE_P(All, EachKind,
                         testing::Values(Shape{}, Shape{.v6 = true}, Shape{.protocol = 17},
                                         Shape{.v6 = true, .protocol = 17}, Shape{.payload = 999},
                                         Shape{.payload = 0}, Shape{.payload = 1},
                                         Shape{.vlan = true},
                                         Shape{.v6 = true, .payload = 77, .vlan = true},
                                         Shape{.payload = 2, .padding = 4}));

TEST(Restorer, SctpGetsItsCrc) {
  const Packet p = offloaded({.protocol = 132, .payload = 100});
  const auto wire = restored(p.bytes);
  Bytes sctp(wire[0].begin() + static_cast<std::ptrdiff_t>(p.transport), wire[0].end());
  std::uint32_t there = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    there |= std::to_integer<std::uint32_t>(sctp[8 + i]) << (8 * i);
    sctp[8 + i] = std::byte{0};
  }
  EXPECT_EQ(there, crc32c_end(crc32c_add(crc32c_begin(), sctp)));
}

TEST(Restorer, CompleteAndWrongChecksumsStayAsTheyAre) {
  Packet p = offloaded({});
  p.bytes[p.transport + 16] ^= std::byte{0x5a};
  EXPECT_EQ(restored(p.bytes)[0], p.bytes) << "a fault of the wire is for the sensor to see";
}

TEST(Restorer, ChecksumsAreLeftWhereThatIsAskedFor) {
  const Packet p = offloaded({});
  EXPECT_EQ(restored(p.bytes, {.checksums = false})[0], p.bytes);
}

struct Split {
  Shape shape;
  std::uint32_t mtu;
};
class EachSplit : public testing::TestWithParam<Split> {};

TEST_P(EachSplit, GivesTheSegmentsOfTheWire) {
  const auto [shape, mtu] = GetParam();
  const Packet p = offloaded(shape);
  const auto wire = restored(p.bytes, {.mtu = mtu});
  ASSERT_GT(wire.size(), 1u);
  Bytes joined;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    const Bytes& segment = wire[i];
    EXPECT_LE(segment.size() - p.network, mtu);
    if (i + 1 < wire.size()) {
      EXPECT_EQ(segment.size() - p.network, mtu) << "all but the last are full";
    }
    expect_valid(segment, p, shape.v6, 6);
    EXPECT_EQ(get32(segment, p.transport + 4), 0xffffff00U + static_cast<unsigned>(joined.size()));
    const unsigned flags = std::to_integer<unsigned>(segment[p.transport + 13]);
    const bool last = i + 1 == wire.size();
    EXPECT_EQ(flags & 0x09U, last ? shape.flags & 0x09U : 0U) << "FIN and PSH go with the last";
    EXPECT_EQ(flags & 0x80U, i == 0 ? shape.flags & 0x80U : 0U) << "CWR with the first";
    if (!shape.v6) {
      EXPECT_EQ(get16(segment, p.network + 4), (0xfffeU + i) & 0xffffU);
    }
    joined.insert(joined.end(), segment.begin() + static_cast<std::ptrdiff_t>(p.data),
                  segment.end());
  }
  EXPECT_EQ(joined, Bytes(p.bytes.begin() + static_cast<std::ptrdiff_t>(p.data), p.bytes.end()));
}

INSTANTIATE_TEST_SUITE_P(
    All, EachSplit,
    testing::Values(Split{{.payload = 4000}, 1500}, Split{{.v6 = true, .payload = 4000}, 1500},
                    Split{{.payload = 60'000, .flags = 0x99}, 1500},
                    Split{{.v6 = true, .payload = 64'000, .flags = 0x99}, 1280},
                    Split{{.payload = 2 * 1460}, 1500}, Split{{.payload = 1461}, 1500},
                    Split{{.payload = 30'000, .vlan = true}, 9000}));

TEST(Restorer, SplitsUdpBySegmentsThatTheSourceKnows) {
  const Packet p = offloaded({.protocol = 17, .payload = 3000});
  auto packet = captured(p.bytes);
  packet.offload = {.known = true,
                    .checksum_partial = true,
                    .checksum_start = static_cast<std::uint16_t>(p.transport),
                    .checksum_offset = 6,
                    .segment_size = 1200,
                    .udp_segments = true};
  Restorer restorer({});
  const auto wire = restored(restorer, packet);
  ASSERT_EQ(wire.size(), 3u);
  EXPECT_EQ(wire[0].size(), p.data + 1200);
  EXPECT_EQ(wire[2].size(), p.data + 600);
  for (const Bytes& datagram : wire) {
    EXPECT_EQ(get16(datagram, p.transport + 4), datagram.size() - p.transport);
    expect_valid(datagram, p, false, 17);
  }
}

TEST(Restorer, CompletesWhatTheSourceSaysIsPartialAsItDoesWhatItFindsOut) {
  for (const Shape& shape : {Shape{.payload = 999}, Shape{.v6 = true, .payload = 0},
                             Shape{.protocol = 17, .payload = 18},
                             Shape{.v6 = true, .protocol = 17, .payload = 1400, .vlan = true}}) {
    const Packet p = offloaded(shape);
    auto packet = captured(p.bytes);
    Restorer restorer({});
    const auto found_out = restored(restorer, packet);
    packet.offload = {.known = true,
                      .checksum_partial = true,
                      .checksum_start = static_cast<std::uint16_t>(p.transport),
                      .checksum_offset = static_cast<std::uint16_t>(shape.protocol == 6 ? 16 : 6)};
    const auto told = restored(restorer, packet);
    EXPECT_EQ(told, found_out);
    expect_valid(told.at(0), p, shape.v6, shape.protocol);
  }
}

TEST(Restorer, AChecksumOfZeroIsZeroInTcpAndAllOnesInUdp) {
  for (const bool told : {true, false}) {
    for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}}) {
      Packet p = offloaded({.protocol = protocol, .payload = 2});
      const std::size_t at = p.transport + (protocol == 6 ? 16U : 6U);
      // The payload is what makes the sum of everything 0xffff.
      p.bytes[p.data] = p.bytes[p.data + 1] = std::byte{0};
      const std::span<const std::byte> all(p.bytes);
      const unsigned rest = fold(sum_words(all.subspan(p.transport)));
      p.bytes[p.data] = static_cast<std::byte>((0xffff - rest) >> 8);
      p.bytes[p.data + 1] = static_cast<std::byte>(0xffff - rest);
      auto packet = captured(p.bytes);
      if (told) {
        packet.offload = {.known = true,
                          .checksum_partial = true,
                          .checksum_start = static_cast<std::uint16_t>(p.transport),
                          .checksum_offset = static_cast<std::uint16_t>(at - p.transport)};
      }
      Restorer restorer({});
      EXPECT_EQ(get16(restored(restorer, packet).at(0), at), protocol == 6 ? 0U : 0xffffU);
    }
  }
}

TEST(Restorer, CompletesAChecksumInsideATunnel) {
  const Packet inner = offloaded({.payload = 300});
  // VXLAN without a checksum of its own (RFC 7348); the kernel leaves the inner one to the card.
  Packet outer = offloaded({.protocol = 17, .payload = 0});
  outer.bytes[outer.transport + 6] = outer.bytes[outer.transport + 7] = std::byte{0};
  Bytes whole = outer.bytes;
  whole.insert(whole.end(), 8, std::byte{8});
  const std::size_t at = whole.size();
  whole.insert(whole.end(), inner.bytes.begin(), inner.bytes.end());
  auto packet = captured(whole);
  packet.offload = {.known = true,
                    .checksum_partial = true,
                    .checksum_start = static_cast<std::uint16_t>(at + inner.transport),
                    .checksum_offset = 16};
  Restorer restorer({});
  const auto wire = restored(restorer, packet);
  ASSERT_EQ(wire.size(), 1u);
  EXPECT_TRUE(
      std::equal(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(at), wire[0].begin()));
  expect_valid(Bytes(wire[0].begin() + static_cast<std::ptrdiff_t>(at), wire[0].end()), inner,
               false, 6);
}

TEST(Restorer, ToldOffsetsThatPointOutsideAreIgnored) {
  const Packet p = offloaded({.protocol = 17, .payload = 700});
  for (const std::uint16_t start :
       {std::uint16_t{700}, std::uint16_t{745}, std::uint16_t{65'535}}) {
    auto packet = captured(p.bytes);
    packet.offload = {
        .known = true, .checksum_partial = true, .checksum_start = start, .checksum_offset = 6};
    Restorer restorer({});
    EXPECT_EQ(restored(restorer, packet).at(0), p.bytes);
  }
}

TEST(Restorer, WhatASnaplenCutStaysAsItIs) {
  const Packet p = offloaded({.payload = 4000});
  auto packet = captured(p.bytes);
  packet.bytes = packet.bytes.first(200);
  Restorer restorer({});
  const auto view = capture::parse_packet(capture::LinkType::kEthernet, packet.bytes);
  ASSERT_EQ(restorer.begin(view, packet), 1u);
  const WirePacket one = restorer.next();
  EXPECT_TRUE(one.head.empty());
  EXPECT_EQ(one.body.size(), 200u);
  EXPECT_EQ(one.length, p.bytes.size());
}

TEST(Restorer, ReadsNothingBeyondHostilePackets) {
  std::mt19937 random(9);
  Restorer restorer({.mtu = 200});
  for (int round = 0; round < 20'000; ++round) {
    Packet p = offloaded({.v6 = random() % 2 == 0,
                          .protocol = static_cast<std::uint8_t>(random() % 2 == 0 ? 6 : 17),
                          .payload = random() % 1000,
                          .vlan = random() % 4 == 0});
    for (unsigned flips = random() % 4; flips > 0; --flips)
      p.bytes[random() % std::min<std::size_t>(p.bytes.size(), 80)] =
          static_cast<std::byte>(random());
    p.bytes.resize(random() % (p.bytes.size() + 1));
    p.bytes.shrink_to_fit();
    std::size_t total = 0;
    for (const Bytes& wire : restored(restorer, captured(p.bytes))) total += wire.size();
    EXPECT_LE(total, p.bytes.size() * 200);
  }
}

}  // namespace
}  // namespace sidetap::fidelity
