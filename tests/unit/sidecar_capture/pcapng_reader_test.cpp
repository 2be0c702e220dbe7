#include "sidecar/capture/pcapng_reader.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap::capture {
namespace {

using test::Bytes;
using testing::HasSubstr;

/// A file, block by block, in one of the byte orders.
class Blocks {
 public:
  explicit Blocks(bool little) : little_(little) {}

  Blocks& section() {
    Bytes body;
    put(body, 0x1a2b3c4dU, 4);
    put(body, 1, 2);
    put(body, 0, 2);
    put(body, ~std::uint64_t{0}, 8);
    return block(0x0a0d0d0a, body);
  }
  struct Interface {
    unsigned link = 1;
    std::uint32_t snaplen = 0;
    unsigned resolution = 6;
    std::int64_t offset = 0;
  };
  Blocks& interface(const Interface& one) {
    Bytes body;
    put(body, one.link, 2);
    put(body, 0, 2);
    put(body, one.snaplen, 4);
    option(body, 2, {std::byte{'e'}, std::byte{'t'}, std::byte{'h'}});
    option(body, 9, {static_cast<std::byte>(one.resolution)});
    Bytes offset;
    put(offset, static_cast<std::uint64_t>(one.offset), 8);
    option(body, 14, offset);
    option(body, 0, {});
    return block(1, body);
  }
  Blocks& packet(unsigned interface, std::uint64_t ticks, const Bytes& data, unsigned more = 0) {
    Bytes body;
    put(body, interface, 4);
    put(body, ticks >> 32, 4);
    put(body, ticks & 0xffffffffU, 4);
    put(body, data.size(), 4);
    put(body, data.size() + more, 4);
    return padded(body, data).block(6, body);
  }
  Blocks& old_packet(unsigned interface, std::uint64_t ticks, const Bytes& data) {
    Bytes body;
    put(body, interface, 2);
    put(body, 0, 2);
    put(body, ticks >> 32, 4);
    put(body, ticks & 0xffffffffU, 4);
    put(body, data.size(), 4);
    put(body, data.size(), 4);
    return padded(body, data).block(2, body);
  }
  Blocks& simple_packet(unsigned length, const Bytes& data) {
    Bytes body;
    put(body, length, 4);
    return padded(body, data).block(3, body);
  }
  Blocks& block(std::uint32_t type, const Bytes& body) {
    put(all_, type, 4);
    put(all_, body.size() + 12, 4);
    test::append(all_, body);
    put(all_, body.size() + 12, 4);
    return *this;
  }
  Blocks& other_order() { return little_ = !little_, *this; }
  Bytes bytes() const { return all_; }

 private:
  void put(Bytes& out, std::uint64_t value, unsigned size) const {
    for (unsigned i = 0; i < size; ++i)
      test::put8(out, static_cast<unsigned>(value >> 8 * (little_ ? i : size - 1 - i) & 0xff));
  }
  void option(Bytes& out, unsigned code, const Bytes& value) {
    put(out, code, 2);
    put(out, value.size(), 2);
    padded(out, value);
  }
  Blocks& padded(Bytes& out, const Bytes& value) {
    test::append(out, value);
    out.resize(out.size() + (4 - value.size() % 4) % 4);
    return *this;
  }

  bool little_;
  Bytes all_;
};

/// The packets, a line each; in the end the fault and what was left out.
std::vector<std::string> read(const Bytes& bytes) {
  std::size_t at = 0;
  PcapngReader reader([&](std::span<std::byte> into) {
    const std::size_t size = std::min(into.size(), bytes.size() - at);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, into.begin());
    at += size;
    return size;
  });
  std::vector<std::string> lines;
  FilePacket one;
  auto got = reader.next(one);
  for (; got && *got; got = reader.next(one))
    lines.push_back(
        std::to_string(static_cast<unsigned>(one.link)) + " " + std::to_string(one.packet.seconds) +
        "." + std::to_string(one.packet.nanoseconds) + " " +
        std::to_string(one.packet.bytes.size()) + "/" + std::to_string(one.packet.length));
  if (!got) lines.push_back(got.error().text);
  if (!reader.left_out().empty()) lines.push_back(reader.left_out());
  return lines;
}

const Bytes kFive(5, std::byte{7});

class BothOrders : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Pcapng, BothOrders, testing::Bool());

TEST_P(BothOrders, EachInterfaceHasItsOwnLinkLayerLengthAndClock) {
  Blocks file(GetParam());
  file.section()
      .interface({.link = 1, .snaplen = 96})
      .interface({.link = 101, .snaplen = 262'144, .resolution = 9})
      .interface({.link = 276, .resolution = 0x80 | 10, .offset = 1'700'000'000})
      .packet(0, 1'700'000'000'000'001, kFive, 3)
      .packet(1, 1'700'000'000'000'000'001, kFive)
      .packet(2, 1536, kFive)
      .packet(0, 5, {});
  EXPECT_THAT(read(file.bytes()),
              testing::ElementsAre("1 1700000000.1000 5/8", "101 1700000000.1 5/5",
                                   "276 1700000001.500000000 5/5", "1 0.5000 0/0"));
}

TEST_P(BothOrders, ASectionBeginsAnewAlsoInTheOtherByteOrder) {
  Blocks file(GetParam());
  file.section().interface({.link = 1}).packet(0, 0, kFive).other_order().section();
  file.interface({.link = 113}).packet(0, 0, kFive);
  EXPECT_THAT(read(file.bytes()), testing::ElementsAre("1 0.0 5/5", "113 0.0 5/5"));
}

TEST_P(BothOrders, OldAndSimplePacketsAreRead) {
  Blocks file(GetParam());
  file.section().interface({.snaplen = 5}).interface({.link = 101});
  file.old_packet(1, 2'000'000, kFive).simple_packet(9, kFive).block(0xbad, kFive);
  file.block(0xbad, {}).packet(0, 0, kFive);
  auto bytes = file.bytes();
  const auto lines = read(bytes);
  ASSERT_GE(lines.size(), 2U);
  EXPECT_EQ(lines[0], "101 2.0 5/5");
  EXPECT_EQ(lines[1], "1 0.0 5/9");
  EXPECT_THAT(lines[2], HasSubstr("impossible length 17")) << "no multiple of four";
}

TEST_P(BothOrders, PacketsOfUnknownLinkLayersAreLeftOutAndCounted) {
  Blocks file(GetParam());
  file.section().interface({.link = 189}).interface({.link = 1});
  file.packet(0, 0, kFive).packet(1, 0, kFive).packet(0, 0, kFive);
  const auto lines = read(file.bytes());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], "1 0.0 5/5");
  EXPECT_THAT(lines[1], HasSubstr("2 packets are left out: link layer 189"));
}

TEST_P(BothOrders, WhatIsDamagedIsSaid) {
  const auto fault = [](const Blocks& file) { return read(file.bytes()).back(); };
  EXPECT_THAT(fault(Blocks(GetParam()).section().packet(0, 0, kFive)), HasSubstr("interface 0"));
  Bytes long_packet(20);
  long_packet[GetParam() ? 12 : 15] = std::byte{1};
  EXPECT_THAT(fault(Blocks(GetParam()).section().interface({}).block(6, long_packet)),
              HasSubstr("longer than its block"));
  EXPECT_THAT(fault(Blocks(GetParam()).section().interface({.resolution = 20})),
              HasSubstr("too fine"));
  EXPECT_THAT(fault(Blocks(GetParam()).interface({})), HasSubstr("does not begin with a section"));
  EXPECT_THAT(fault(Blocks(GetParam()).section().block(1, {})), HasSubstr("too short"));
  EXPECT_THAT(read({}).back(), HasSubstr("cut off"));
}

TEST_P(BothOrders, EveryCutIsAFaultOrTheEndBetweenBlocks) {
  Blocks file(GetParam());
  file.section();
  const std::size_t first = file.bytes().size();
  file.interface({});
  const std::size_t second = file.bytes().size();
  file.packet(0, 0, kFive);
  const Bytes whole = file.bytes();
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const auto lines =
        read(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    if (size == first || size == second)
      EXPECT_TRUE(lines.empty()) << size;
    else
      EXPECT_THAT(lines, testing::ElementsAre(HasSubstr("cut off"))) << size;
  }
}

}  // namespace
}  // namespace sidetap::capture
