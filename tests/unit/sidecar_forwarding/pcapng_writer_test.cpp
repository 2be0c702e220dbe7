#include "sidecar/forwarding/pcapng_writer.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/capture/pcapng_reader.h"
#include "sidecar/forwarding/capture_format.h"
#include "tests/unit/sidecar_forwarding/pcapng_blocks.h"

namespace sidetap::forwarding {
namespace {

using testing::ElementsAre;

std::vector<std::byte> some_bytes(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

void append_to(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void add_packet(std::vector<std::byte>& out, const PacketRecord& packet,
                std::span<const std::byte> bytes) {
  const RecordFrame frame = PcapngWriter::frame(packet);
  append_to(out, frame.head());
  append_to(out, bytes);
  append_to(out, frame.tail());
}

struct ReadBack {
  std::uint64_t time = 0;
  std::size_t captured = 0;
  std::uint32_t length = 0;
  friend bool operator==(const ReadBack&, const ReadBack&) = default;
};

/// What the tree's own reader finds.
std::vector<ReadBack> read_back(const std::vector<std::byte>& bytes) {
  std::size_t at = 0;
  capture::PcapngReader reader([&](std::span<std::byte> into) {
    const std::size_t size = std::min(into.size(), bytes.size() - at);
    if (size != 0) std::memcpy(into.data(), bytes.data() + at, size);
    at += size;
    return size;
  });
  std::vector<ReadBack> found;
  capture::FilePacket packet;
  auto more = reader.next(packet);
  for (; more && *more; more = reader.next(packet)) {
    const auto expected = some_bytes(packet.packet.bytes.size());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), packet.packet.bytes.begin()));
    EXPECT_EQ(packet.link, capture::LinkType::kEthernet);
    found.push_back({packet.packet.seconds * 1'000'000'000ULL + packet.packet.nanoseconds,
                     packet.packet.bytes.size(), packet.packet.length});
  }
  EXPECT_TRUE(more) << more.error().text;
  EXPECT_EQ(reader.left_out(), "");
  return found;
}

TEST(PcapngWriterTest, WhatItWritesIsReadBackToTheNanosecondWithEveryPadding) {
  std::vector<std::byte> out;
  PcapngWriter::add_section(out, "a test");
  PcapngWriter(1, 262'144).add_interface(out, "eth0", "");
  std::vector<ReadBack> expected;
  for (std::uint32_t size = 0; size < 9; ++size) {
    const PacketRecord packet{.seconds = 1'700'000'000 + size,
                              .nanoseconds = 999'999'999 - size,
                              .captured = size,
                              .length = size + 100};
    const std::size_t before = out.size();
    add_packet(out, packet, some_bytes(size));
    EXPECT_EQ(out.size() - before, PcapngWriter::size_of_packet(size));
    expected.push_back(
        {packet.seconds * 1'000'000'000ULL + packet.nanoseconds, size, packet.length});
  }
  EXPECT_EQ(read_back(out), expected);
  EXPECT_EQ(blocks_of(out).size(), 11u);
}

TEST(PcapngWriterTest, AnInterfaceMayComeInTheMiddleOfASection) {
  std::vector<std::byte> out;
  PcapngWriter::add_section(out, "");
  const PcapngWriter writer(1, 1500);
  writer.add_interface(out, "shop/web-1 eth0", "k8s.podName=web-1;k8s.namespace=shop");
  add_packet(out, {.interface = 0, .captured = 5, .length = 5}, some_bytes(5));
  writer.add_interface(out, "shop/web-2 eth0", "");
  add_packet(out, {.interface = 1, .captured = 6, .length = 6}, some_bytes(6));
  EXPECT_EQ(read_back(out).size(), 2u);
  const auto blocks = blocks_of(out);
  ASSERT_EQ(blocks.size(), 5u);
  for (const std::size_t at : {1, 3}) {
    EXPECT_EQ(blocks[at].type, 1u);
    EXPECT_EQ(number_at<std::uint16_t>(blocks[at].body, 0), 1) << "one link layer in all";
    EXPECT_EQ(number_at<std::uint32_t>(blocks[at].body, 4), 1500u) << "one snapshot length in all";
  }
  using Option = std::pair<unsigned, std::string>;
  EXPECT_THAT(options_of(blocks[1], 8),
              ElementsAre(Option(2, "shop/web-1 eth0"),
                          Option(3, "k8s.podName=web-1;k8s.namespace=shop"), Option(9, "\x09")));
  EXPECT_THAT(options_of(blocks[3], 8),
              ElementsAre(Option(2, "shop/web-2 eth0"), Option(9, "\x09")));
}

TEST(PcapngWriterTest, NamesStandBesideTheirAddresses) {
  std::vector<std::byte> out;
  const std::vector<NamedAddress> names{{net::IpAddress::parse("10.99.0.2").value(), "web-1.shop"},
                                        {net::IpAddress::parse("fd00::2").value(), "web-1.shop"},
                                        {net::IpAddress::parse("10.99.0.3").value(), ""}};
  PcapngWriter::add_names(out, names);
  const auto blocks = blocks_of(out);
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_EQ(blocks[0].type, 4u);
  const std::string v4("\x0a\x63\x00\x02", 4);
  const std::string v6 = "\xfd" + std::string(14, '\0') + "\x02";
  const std::string name("web-1.shop\0", 11);
  using Option = std::pair<unsigned, std::string>;
  EXPECT_THAT(options_of(blocks[0], 0), ElementsAre(Option(1, v4 + name), Option(2, v6 + name)));
  out.clear();
  PcapngWriter::add_names(out, {&names[2], 1});
  EXPECT_TRUE(out.empty());
}

TEST(PcapngWriterTest, ManyNamesTakeSeveralBlocks) {
  std::vector<NamedAddress> names;
  for (std::uint32_t i = 0; i < 2500; ++i)
    names.push_back({net::IpAddress::v4(0x0a000000 + i), std::string(300, 'n')});
  std::vector<std::byte> out;
  PcapngWriter::add_names(out, names);
  std::size_t found = 0;
  for (const WrittenBlock& block : blocks_of(out)) found += options_of(block, 0).size();
  EXPECT_EQ(blocks_of(out).size(), 3u);
  EXPECT_EQ(found, 2500u);
}

TEST(PcapngWriterTest, TextsAreBoundedAndHoldNoControlCharacters) {
  std::vector<std::byte> out;
  std::string long_name(PcapngWriter::kMostName - 1, 'x');
  long_name += "\xc3\xa9 and more";  // two bytes, of which one would fit
  PcapngWriter(1, 96).add_interface(out, long_name, std::string("a\nb\0c", 5));
  PcapngWriter(1, 96).add_interface(out, "", std::string(70'000, 'd'));
  const auto blocks = blocks_of(out);
  ASSERT_EQ(blocks.size(), 2u);
  const auto first = options_of(blocks[0], 8);
  EXPECT_EQ(first[0].second, std::string(PcapngWriter::kMostName - 1, 'x'));
  EXPECT_EQ(first[1].second, "a_b_c");
  EXPECT_EQ(options_of(blocks[1], 8)[0].second.size(), PcapngWriter::kMostDescription);
}

TEST(PcapngWriterTest, StatisticsTellWhatCameAndWhatWasDropped) {
  std::vector<std::byte> out;
  const std::uint64_t time = 1'700'000'000'123'456'789;
  PcapngWriter::add_statistics(out, 3, time, {.received = 1ULL << 40, .dropped = 7});
  EXPECT_EQ(out.size(), PcapngWriter::kStatisticsSize);
  const auto blocks = blocks_of(out);
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_EQ(blocks[0].type, 5u);
  EXPECT_EQ(number_at<std::uint32_t>(blocks[0].body, 0), 3u);
  EXPECT_EQ(std::uint64_t{number_at<std::uint32_t>(blocks[0].body, 4)} << 32 |
                number_at<std::uint32_t>(blocks[0].body, 8),
            time);
  const auto options = options_of(blocks[0], 12);
  ASSERT_EQ(options.size(), 2u);
  const auto value = [&](std::size_t i) {
    return number_at<std::uint64_t>(std::as_bytes(std::span(options[i].second)), 0);
  };
  EXPECT_EQ(options[0].first, 4u);
  EXPECT_EQ(value(0), 1ULL << 40);
  EXPECT_EQ(options[1].first, 5u);
  EXPECT_EQ(value(1), 7u);
}

TEST(CaptureFormatTest, APodIsNamedAsFarAsItIsKnown) {
  const InterfaceLabel label = label_of({"web-1", "shop", "node-2"}, "eth0");
  EXPECT_EQ(label.name, "shop/web-1 eth0");
  EXPECT_EQ(label.description, "k8s.podName=web-1;k8s.namespace=shop;k8s.node=node-2");
  EXPECT_EQ(label_of({"web-1", "", ""}, "eth0").name, "web-1 eth0");
  EXPECT_EQ(label_of({}, "eth0").name, "eth0");
  EXPECT_EQ(label_of({}, "eth0").description, "");
  const net::IpAddress address = net::IpAddress::v4(0x0a630002);
  EXPECT_EQ(names_of({"web-1", "shop", ""}, {&address, 1}).front().name, "web-1.shop");
  EXPECT_TRUE(names_of({}, {&address, 1}).empty());
}

TEST(CaptureFormatTest, EveryPartHasTheSizeThatIsToldBefore) {
  for (const CaptureFormat format : {CaptureFormat::kPcap, CaptureFormat::kPcapng}) {
    for (const std::uint32_t captured : {0U, 1U, 4U, 1500U}) {
      const RecordFrame frame = frame_of(format, {.captured = captured, .length = captured});
      EXPECT_EQ(frame.head().size() + captured + frame.tail().size(),
                record_size(format, captured));
    }
    const std::vector<InterfaceTotals> totals(3);
    EXPECT_EQ(ending_of(format, 1, totals).size(), ending_size(format, totals.size()));
  }
}

TEST(CaptureFormatTest, AFileOfTwoInterfacesIsReadBack) {
  const CaptureHeading heading{.format = CaptureFormat::kPcapng,
                               .interfaces = {label_of({}, "eth0"), label_of({}, "net1")},
                               .names = {}};
  auto file = beginning_of(heading);
  add_packet(file, {.interface = 1, .seconds = 5, .captured = 60, .length = 60}, some_bytes(60));
  append_to(file, ending_of(heading.format, 6, std::vector<InterfaceTotals>(2)));
  EXPECT_EQ(read_back(file), (std::vector<ReadBack>{{5'000'000'000, 60, 60}}));
}

}  // namespace
}  // namespace sidetap::forwarding
