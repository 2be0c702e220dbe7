#include "shared/rpcap/udpstr_packer.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "shared/rpcap/codec.h"
#include "shared/rpcap/udpstr_unpacker.h"

namespace sidetap::rpcap {
namespace {

using Datagram = std::vector<std::byte>;

unsigned number16(const Datagram& d, std::size_t at) {
  return std::to_integer<unsigned>(d[at]) << 8 | std::to_integer<unsigned>(d[at + 1]);
}
unsigned number32(const Datagram& d, std::size_t at) {
  return number16(d, at) << 16 | number16(d, at + 2);
}

/// Takes a packer's runs, split into datagrams as the kernel would.
struct Wire {
  std::vector<Datagram> datagrams;

  void take(UdpstrPacker& packer) {
    for (const net::DatagramRun& run : packer.runs()) {
      std::size_t count = 0;
      for (std::size_t at = 0; at < run.size; at += run.datagram, ++count) {
        const std::byte* begin = packer.data() + run.offset + at;
        datagrams.emplace_back(begin, begin + std::min(run.datagram, run.size - at));
      }
      EXPECT_EQ(count, run.count);
      EXPECT_LE(run.count, net::kMaxRunDatagrams);
      if (run.count > 1) {
        EXPECT_LE(run.size, net::kMaxRunBytes);
      }
    }
    packer.clear();
  }

  /// The stream of headers and packets, built only from the format's description.
  std::vector<std::pair<PacketHeader, Datagram>> packets() const {
    Datagram stream;
    for (const Datagram& d : datagrams) stream.insert(stream.end(), d.begin() + 8, d.end());
    std::vector<std::pair<PacketHeader, Datagram>> result;
    std::size_t at = 0;
    while (at + kPacketHeaderSize <= stream.size()) {
      const PacketHeader header = decode_packet_header(
          std::span<const std::byte, kPacketHeaderSize>(stream.data() + at, kPacketHeaderSize));
      at += kPacketHeaderSize;
      EXPECT_LE(at + header.captured, stream.size());
      if (at + header.captured > stream.size()) break;
      const auto begin = stream.begin() + static_cast<std::ptrdiff_t>(at);
      result.emplace_back(header, Datagram(begin, begin + header.captured));
      at += header.captured;
    }
    EXPECT_EQ(at, stream.size());
    return result;
  }
};

Datagram body(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  Datagram bytes(size);
  for (auto& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

PacketHeader header(std::size_t size, std::uint32_t number) {
  return {.seconds = 1,
          .microseconds = 2,
          .captured = static_cast<std::uint32_t>(size),
          .length = static_cast<std::uint32_t>(size),
          .number = number};
}

struct Shape {
  std::size_t datagram;
  std::size_t capacity;
  std::size_t largest;
};

/// A path whose MTU falls: datagrams that are too large for it are refused from that one on.
struct NarrowPath {
  std::size_t fits;
  std::vector<Datagram> datagrams;
  std::uint32_t packets = 0;

  void send(UdpstrPacker& packer, std::size_t least) {
    while (const auto stopped = refused(packer)) {
      const auto [run, datagram] = *stopped;
      std::uint32_t pending = 0;
      for (const auto& each : packer.runs().subspan(run)) pending += each.packets;
      const std::size_t smaller = std::max(least, fits);
      packets += pending - packer.repack(run, datagram, smaller, [&] { send(packer, least); });
    }
    for (const auto& each : packer.runs()) packets += each.packets;
    take(packer, packer.runs().size(), 0);
    packer.clear();
  }

 private:
  void take(UdpstrPacker& packer, std::size_t runs, std::size_t more) {
    for (std::size_t i = 0; i < std::min(runs + 1, packer.runs().size()); ++i) {
      const net::DatagramRun& run = packer.runs()[i];
      const std::size_t count = i < runs ? run.count : more;
      for (std::size_t k = 0; k < count; ++k) {
        const std::byte* at = packer.data() + run.offset + k * run.datagram;
        datagrams.emplace_back(at, at + std::min(run.datagram, run.size - k * run.datagram));
      }
    }
  }
  std::optional<std::pair<std::size_t, std::size_t>> refused(UdpstrPacker& packer) {
    for (std::size_t i = 0; i < packer.runs().size(); ++i) {
      const net::DatagramRun& run = packer.runs()[i];
      for (std::size_t k = 0; k < run.count; ++k) {
        if (std::min(run.datagram, run.size - k * run.datagram) <= fits) continue;
        take(packer, i, k);
        for (std::size_t before = 0; before < i; ++before) packets += packer.runs()[before].packets;
        return std::pair(i, k);
      }
    }
    return std::nullopt;
  }
};

TEST(UdpstrPacker, PacksAnewWhatTheNarrowerPathRefused) {
  std::mt19937 random(11);
  for (const std::size_t narrow : {1400UL, 1000UL, 256UL, kMinUdpstrDatagram}) {
    UdpstrPacker packer(1472, 16 * 1024);
    NarrowPath path{1472, {}};
    std::vector<Datagram> sent;
    for (std::uint32_t i = 0; i < 400; ++i) {
      if (i == 200) path.fits = narrow;
      sent.push_back(body(random() % 3000, i));
      packer.add(header(sent.back().size(), i + 1), sent.back(), {},
                 [&] { path.send(packer, kMinUdpstrDatagram); });
      if (random() % 20 == 0) {
        packer.finish();
        path.send(packer, kMinUdpstrDatagram);
      }
    }
    packer.finish();
    path.send(packer, kMinUdpstrDatagram);

    Wire wire{path.datagrams};
    const auto got = wire.packets();
    ASSERT_EQ(got.size(), sent.size()) << narrow;
    for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(got[i].second, sent[i]);
    for (std::size_t i = 0; i < wire.datagrams.size(); ++i)
      EXPECT_EQ(number32(wire.datagrams[i], 4), i) << "no number is missing, none comes twice";
    EXPECT_EQ(path.packets, sent.size());
    EXPECT_LE(wire.datagrams.back().size(), narrow);
    // As a receiver reads it, by the offsets of the first headers.
    std::size_t read = 0;
    UdpstrUnpacker unpacker([&](const PacketHeader&, std::span<const std::byte>) { ++read; });
    for (const Datagram& datagram : wire.datagrams) unpacker.add(datagram);
    EXPECT_EQ(read, sent.size());
    EXPECT_EQ(unpacker.counts().malformed, 0U);
  }
}

class UdpstrPackerSizes : public testing::TestWithParam<Shape> {};

TEST_P(UdpstrPackerSizes, EveryPacketComesOutAsItWentIn) {
  const Shape shape = GetParam();
  std::mt19937 random(7);
  UdpstrPacker packer(shape.datagram, shape.capacity);
  Wire wire;
  std::vector<Datagram> sent;
  for (std::uint32_t i = 0; i < 500; ++i) {
    sent.push_back(body(random() % (shape.largest + 1), i));
    const std::size_t split = sent.back().empty() ? 0 : random() % sent.back().size();
    const std::span<const std::byte> bytes(sent.back());
    packer.add(header(bytes.size(), i + 1), bytes.first(split), bytes.subspan(split),
               [&] { wire.take(packer); });
    if (random() % 10 == 0) {
      packer.finish();
      wire.take(packer);
    }
  }
  packer.finish();
  wire.take(packer);

  const auto got = wire.packets();
  ASSERT_EQ(got.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(got[i].first, header(sent[i].size(), static_cast<std::uint32_t>(i + 1)));
    EXPECT_EQ(got[i].second, sent[i]);
  }
  for (std::size_t i = 0; i < wire.datagrams.size(); ++i) {
    EXPECT_LE(wire.datagrams[i].size(), shape.datagram);
    EXPECT_EQ(number32(wire.datagrams[i], 4), i) << "seqno";
  }
}

INSTANTIATE_TEST_SUITE_P(All, UdpstrPackerSizes,
                         testing::Values(Shape{1472, 65536, 1500}, Shape{1472, 65536, 60},
                                         Shape{1472, 65536, 100'000}, Shape{100, 4096, 3000},
                                         Shape{64, 64, 300}, Shape{8952, 65536, 9000},
                                         Shape{65507, 65536, 70'000}));

TEST(UdpstrPacker, NamesWhereTheFirstPacketHeaderBegins) {
  UdpstrPacker packer(200, 65536);
  Wire wire;
  const Datagram first = body(400, 1);
  const Datagram second = body(10, 2);
  packer.add(header(400, 1), first, {}, [] { FAIL(); });
  packer.add(header(10, 2), {}, second, [] { FAIL(); });
  packer.finish();
  wire.take(packer);
  // 192 bytes of stream each: 20 + 172, then 192, then 36 left of the first and the second packet.
  ASSERT_EQ(wire.datagrams.size(), 3u);
  EXPECT_EQ(number16(wire.datagrams[0], 2), 8u);
  EXPECT_EQ(number16(wire.datagrams[1], 2), 0xffffu);
  EXPECT_EQ(number16(wire.datagrams[2], 2), 8u + 36u);
}

TEST(UdpstrPacker, EndsADatagramShortRatherThanSplitAPacketHeader) {
  UdpstrPacker packer(1472, 65536);
  Wire wire;
  // 1464 - (20 + 1417) = 27 bytes left: one too few.
  for (std::uint32_t i = 0; i < 3; ++i)
    packer.add(header(1417, i + 1), body(1417, i), {}, [] { FAIL(); });
  packer.finish();
  ASSERT_EQ(packer.runs().size(), 1u) << "uniform packets give uniform datagrams, one send";
  EXPECT_EQ(packer.runs()[0].datagram, 1445u);
  EXPECT_EQ(packer.runs()[0].count, 3u);
  wire.take(packer);
  for (const Datagram& d : wire.datagrams) EXPECT_EQ(number16(d, 2), 8u);
}

TEST(UdpstrPacker, CountsPacketsWhereTheyEnd) {
  UdpstrPacker packer(200, 400);
  std::vector<net::DatagramRun> runs;
  packer.add(header(500, 1), body(500, 1), {}, [&] {
    runs.insert(runs.end(), packer.runs().begin(), packer.runs().end());
    packer.clear();
  });
  packer.finish();
  runs.insert(runs.end(), packer.runs().begin(), packer.runs().end());
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].packets, 0u);
  EXPECT_TRUE(runs[0].splits_packet);
  EXPECT_EQ(runs[1].packets, 1u);
  EXPECT_FALSE(runs[1].splits_packet);
}

TEST(UdpstrPacker, KeepsBeyondTheBatchWhatIsNotSentYet) {
  UdpstrPacker packer(500, 2000, 20'000);
  unsigned asked = 0;
  for (std::uint32_t number = 1; number <= 10; ++number) {
    ASSERT_TRUE(packer.has_room_for(1000));
    packer.add(header(1000, number), body(1000, number), {}, [&asked] { ++asked; });
    packer.finish();  // so that each packet is a run
  }
  EXPECT_GT(asked, 0u);
  ASSERT_EQ(packer.runs().size(), 10u);
  EXPECT_TRUE(packer.has_room());
  EXPECT_FALSE(packer.has_room_for(15'000));

  const std::size_t sent = packer.runs()[3].offset;
  const std::size_t end = packer.runs().back().offset + packer.runs().back().size;
  const Datagram left(packer.data() + sent, packer.data() + end);
  packer.discard(3);
  ASSERT_EQ(packer.runs().size(), 7u);
  EXPECT_EQ(packer.runs().front().offset, 0u);
  EXPECT_TRUE(std::equal(left.begin(), left.end(), packer.data()));
  EXPECT_EQ(packer.runs().back().offset + packer.runs().back().size, left.size());
  packer.discard(7);
  EXPECT_TRUE(packer.empty());
  EXPECT_TRUE(packer.runs().empty());
}

TEST(UdpstrPacker, TakesANewSizeFromTheNextDatagramOn) {
  UdpstrPacker packer(1472, 65536);
  Wire wire;
  packer.add(header(3000, 1), body(3000, 1), {}, [] { FAIL(); });
  packer.finish();
  wire.take(packer);
  packer.set_datagram_size(500);
  packer.add(header(3000, 2), body(3000, 2), {}, [] { FAIL(); });
  packer.finish();
  const std::size_t before = wire.datagrams.size();
  wire.take(packer);
  for (std::size_t i = before; i < wire.datagrams.size(); ++i)
    EXPECT_LE(wire.datagrams[i].size(), 500u);
  EXPECT_EQ(wire.packets().size(), 2u);
}

}  // namespace
}  // namespace sidetap::rpcap
