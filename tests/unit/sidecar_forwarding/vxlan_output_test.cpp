#include "sidecar/forwarding/vxlan_output.h"

#include <cstring>

#include <netinet/udp.h>

#include "tests/unit/sidecar_forwarding/sockets.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kFrame = 500;

std::unique_ptr<Output> output_to(net::UniqueFd socket, VxlanConfig config = {}) {
  std::vector<net::UniqueFd> sockets;
  sockets.push_back(std::move(socket));
  return make_vxlan_output(std::move(sockets), config);
}

void add(Output& output, unsigned count, std::size_t size = kFrame) {
  const std::vector<std::byte> bytes(size);
  const auto length = static_cast<std::uint32_t>(size);
  for (unsigned i = 0; i < count; ++i)
    output.add({.header = {.captured = length, .length = length}, .head = {}, .body = bytes});
}

/// Sizes of what a receiver gets that takes what the kernel carries in one piece.
std::vector<std::size_t> pieces_of(Handover handover) {
  Pair pair = udp_pair();
  const int yes = 1;
  setsockopt(pair.sensor.get(), SOL_UDP, UDP_GRO, &yes, sizeof yes);
  auto output = output_to(std::move(pair.tap), {.handover = handover});
  add(*output, 20);
  output->flush();
  EXPECT_EQ(output->counts().forwarded.value(), 20u);
  std::vector<std::size_t> sizes;
  for (const auto& piece : receive_all(pair.sensor.get())) sizes.push_back(piece.size());
  return sizes;
}

TEST(VxlanOutput, SendsOneDatagramAFrameToWhoeverLooks) {
  EXPECT_EQ(pieces_of(Handover::kSingly), std::vector<std::size_t>(20, kFrame + kVxlanHeaderSize));
}

TEST(VxlanOutput, HandsOverSeveralInOnePieceWhereThatIsAskedFor) {
  const auto sizes = pieces_of(Handover::kSegments);
  if (sizes.size() == 20) GTEST_SKIP() << "this kernel carries no such pieces";
  EXPECT_EQ(sizes, std::vector<std::size_t>{20 * (kFrame + kVxlanHeaderSize)});
}

TEST(VxlanOutput, LosesNothingByTheErrorsOfAReceiverThatSniffs) {
  for (const Handover handover : {Handover::kSingly, Handover::kSegments}) {
    Pair pair = udp_pair();
    pair.sensor.reset();  // nobody has bound the port: each datagram is answered by an ICMP error
    auto output = output_to(std::move(pair.tap), {.handover = handover});
    for (int i = 0; i < 50; ++i) {
      add(*output, 10, kFrame + static_cast<std::size_t>(i));
      output->flush();
    }
    EXPECT_EQ(output->counts().forwarded.value(), 500u);
    EXPECT_EQ(output->counts().dropped_total(), 0u);
  }
}

void add_numbered(Output& output, std::uint32_t number, std::uint64_t flow) {
  std::vector<std::byte> bytes(kFrame);
  std::memcpy(bytes.data(), &number, sizeof number);
  output.add(
      {.header = {.captured = kFrame, .length = kFrame}, .head = {}, .body = bytes, .flow = flow});
}

TEST(VxlanOutput, GoesOnInOrderWhereAFullSocketStoppedIt) {
  Pair pair = stalling_pair();
  auto output = output_to(std::move(pair.tap));
  std::uint32_t added = 0;
  while (output->takes_more() && added < 10'000) add_numbered(*output, added++, 0);
  EXPECT_GE(output->blocked_descriptor(), 0);
  for (int i = 0; i < 100; ++i) add_numbered(*output, added++, 0);
  std::uint32_t next = 0;
  const auto read = [&] {
    for (const auto& datagram : receive_now(pair.sensor.get())) {
      ASSERT_EQ(datagram.size(), kFrame + kVxlanHeaderSize);
      std::uint32_t number = 0;
      std::memcpy(&number, datagram.data() + kVxlanHeaderSize, sizeof number);
      EXPECT_EQ(number, next++);
    }
  };
  for (int round = 0; !output->takes_more() && round < 10'000; ++round) {
    read();
    output->flush();
  }
  read();
  EXPECT_EQ(next, added);
  EXPECT_EQ(output->counts().forwarded.value(), added);
  EXPECT_EQ(output->counts().dropped_total(), 0u);
}

TEST(VxlanOutput, LooksAgainInAMomentWhereSeveralSocketsAreFull) {
  Pair first = stalling_pair();
  Pair second = stalling_pair();
  std::vector<net::UniqueFd> sockets;
  sockets.push_back(std::move(first.tap));
  sockets.push_back(std::move(second.tap));
  auto output = make_vxlan_output(std::move(sockets), {});
  for (int i = 0; output->takes_more() && i < 10'000; ++i) add_numbered(*output, 0, 0);
  EXPECT_GE(output->blocked_descriptor(), 0) << "the other has room";
  EXPECT_FALSE(output->must_retry());
  for (int i = 0; !output->must_retry() && i < 2'000; ++i) add_numbered(*output, 0, 1);
  EXPECT_TRUE(output->must_retry());
  EXPECT_EQ(output->blocked_descriptor(), -1);
  EXPECT_EQ(output->counts().dropped_total(), 0u);
}

TEST(VxlanOutput, CutsOrLeavesOutWhatMetTheSmallerPath) {
  for (const Oversize oversize : {Oversize::kTruncate, Oversize::kDrop}) {
    Pair pair = udp_pair();
    // No datagram of more than 65507 bytes passes the loopback interface: EMSGSIZE comes.
    auto output = output_to(std::move(pair.tap), {.datagram_size = 65'536, .oversize = oversize});
    add(*output, 1);
    output->flush();
    add(*output, 1, 65'520);
    output->flush();
    add(*output, 1);
    output->flush();
    const auto got = receive_all(pair.sensor.get());
    const bool cut = oversize == Oversize::kTruncate;
    EXPECT_EQ(got.size(), cut ? 3u : 2u);
    EXPECT_EQ(output->counts().forwarded.value(), got.size());
    EXPECT_EQ(output->counts().truncated.value(), cut ? 1u : 0u);
    EXPECT_EQ(output->counts().dropped_total(), cut ? 0u : 1u);
  }
}

std::uint32_t vni_in(const std::vector<std::byte>& datagram) {
  return std::to_integer<std::uint32_t>(datagram[4]) << 16 |
         std::to_integer<std::uint32_t>(datagram[5]) << 8 |
         std::to_integer<std::uint32_t>(datagram[6]);
}

void add_of(Output& output, std::uint32_t origin) {
  const std::vector<std::byte> bytes(kFrame);
  output.add({.header = {.captured = kFrame, .length = kFrame},
              .head = {},
              .body = bytes,
              .origin = origin});
}

/// Also where the kernel gets many of them as one piece.
TEST(VxlanOutput, EachFrameHasTheVniOfItsOrigin) {
  for (const Handover handover : {Handover::kSingly, Handover::kSegments}) {
    Pair pair = udp_pair();
    auto output = output_to(std::move(pair.tap),
                            {.vni = 5, .handover = handover, .vni_of = [](std::uint32_t origin) {
                               return 0x123456U + origin;
                             }});
    for (const std::uint32_t origin : {1U, 2U, 2U, 0U, 1U}) add_of(*output, origin);
    output->flush();
    std::vector<std::uint32_t> vnis;
    for (const auto& datagram : receive_all(pair.sensor.get())) {
      ASSERT_EQ(datagram.size(), kFrame + kVxlanHeaderSize);
      vnis.push_back(vni_in(datagram));
    }
    EXPECT_EQ(vnis, (std::vector<std::uint32_t>{0x123457U, 0x123458U, 0x123458U, 5U, 0x123457U}));
  }
}

TEST(VxlanOutput, AsksOnceForTheVniOfAnOrigin) {
  Pair pair = udp_pair();
  unsigned asked = 0;
  auto output = output_to(std::move(pair.tap), {.vni_of = [&asked](std::uint32_t) {
                            ++asked;
                            return 1U;
                          }});
  for (std::uint32_t i = 0; i < 300; ++i) add_of(*output, 1 + i % 3);
  EXPECT_EQ(asked, 3U);
}

}  // namespace
}  // namespace sidetap::forwarding
