#include "sidecar/mesh/leg_rewriter.h"

#include <gtest/gtest.h>

#include "sidecar/fidelity/checksum.h"
#include "sidecar/fidelity/restorer.h"
#include "tests/unit/sidecar_mesh/mesh_fixture.h"

namespace sidetap::mesh {
namespace {

using test::Bytes;
using test::mac;
using test::packet;

void set16(Bytes& bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}

/// A frame with its length, its IP checksum, and the TCP checksum as the stack leaves it.
Bytes frame_of(std::string_view from, std::uint16_t from_port, std::string_view to,
               std::uint16_t to_port, std::size_t payload, bool partial) {
  Bytes frame = packet().from(from).to(to).tcp(from_port, to_port).ethernet();
  for (std::size_t i = 0; i < payload; ++i) frame.push_back(static_cast<std::byte>(i * 7));
  const bool v4 = (frame[14] >> 4) == std::byte{4};
  const std::size_t transport = 14 + (v4 ? 20 : 40);
  set16(frame, v4 ? 16 : 18, static_cast<std::uint32_t>(frame.size() - 14 - (v4 ? 0 : 40)));
  const auto all = std::span<const std::byte>(frame);
  if (v4) {
    set16(frame, 24, 0);
    set16(frame, 24, fidelity::internet_checksum(all.subspan(14, 20)));
  }
  const auto addresses = v4 ? all.subspan(26, 8) : all.subspan(22, 32);
  const std::uint64_t pseudo = fidelity::sum_words(addresses) + 6 + (frame.size() - transport);
  if (partial) {
    set16(frame, transport + 16, fidelity::fold(pseudo));
  } else {
    set16(frame, transport + 16, 0);
    const auto sum = fidelity::fold(pseudo + fidelity::sum_words(all.subspan(transport)));
    set16(frame, transport + 16, static_cast<std::uint16_t>(~sum));
  }
  return frame;
}

/// Whether both checksums of a frame are right.
bool adds_up(std::span<const std::byte> frame) {
  const bool v4 = (frame[14] >> 4) == std::byte{4};
  const std::size_t transport = 14 + (v4 ? 20 : 40);
  if (v4 && fidelity::fold(fidelity::sum_words(frame.subspan(14, 20))) != 0xffff) return false;
  const auto addresses = v4 ? frame.subspan(26, 8) : frame.subspan(22, 32);
  const std::uint64_t sum = fidelity::sum_words(addresses) + 6 + (frame.size() - transport) +
                            fidelity::sum_words(frame.subspan(transport));
  return fidelity::fold(sum) == 0xffff;
}

class LegRewriterTest : public testing::Test {
 protected:
  LegRewriterTest() {
    rewriter_.set_self({ip(kPod), ip(kPod6)});
    facts_.pod = mac(1);
    facts_.peer = mac(9);
    facts_.pod_addresses = {ip(kPod), ip(kPod6)};
    rewriter_.set_facts(facts_);
  }

  /// The frames that leave.
  std::vector<Bytes> leave(const Bytes& frame, const LegKey& key, bool partial, bool known = true,
                           bool in_place = false) {
    capture::CapturedPacket captured;
    Bytes own = frame;
    captured.bytes = own;
    if (in_place) captured.writable = own;
    captured.length = static_cast<std::uint32_t>(own.size());
    captured.offload.known = known;
    captured.offload.checksum_partial = partial;
    const auto view = capture::parse_packet(capture::LinkType::kEthernet, own);
    captured.offload.checksum_start = view.transport_offset;
    captured.offload.checksum_offset = 16;
    const auto leg = rewriter_.rewrite(captured, view, key);
    EXPECT_TRUE(in_place || own == frame) << "somebody else reads it too";
    fidelity::Restorer restorer({.mtu = facts_.mtu});
    const auto leg_view = capture::parse_packet(facts_.link, leg.bytes);
    const std::uint32_t count = restorer.begin(leg_view, leg);
    std::vector<Bytes> frames;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto wire = restorer.next();
      Bytes& whole = frames.emplace_back(wire.head.begin(), wire.head.end());
      whole.insert(whole.end(), wire.body.begin(), wire.body.end());
    }
    return frames;
  }
  static capture::PacketView parse(const Bytes& frame) {
    return capture::parse_packet(capture::LinkType::kEthernet, frame);
  }

  WireFacts facts_;
  LegRewriter rewriter_;
};

const LegKey kSidecarLeg{ip("127.0.0.6"), ip(kPod), 40'000, 8080};

TEST_F(LegRewriterTest, FillsInMacAddressesAndChecksums) {
  const auto there = leave(frame_of("127.0.0.6", 40'000, kPod, 8080, 100, true), kSidecarLeg, true);
  ASSERT_EQ(there.size(), 1U);
  EXPECT_TRUE(adds_up(there[0]));
  EXPECT_EQ(parse(there[0]).source_mac, mac(9));
  EXPECT_EQ(parse(there[0]).destination_mac, mac(1));
  EXPECT_EQ(parse(there[0]).source, ip("127.0.0.6")) << "as seen, without --mesh-client";
  const auto back = leave(frame_of(kPod, 8080, "127.0.0.6", 40'000, 100, true), kSidecarLeg, true);
  EXPECT_TRUE(adds_up(back[0]));
  EXPECT_EQ(parse(back[0]).source_mac, mac(1));
}

TEST_F(LegRewriterTest, MakesSegmentsOfThePodsMtu) {
  for (const bool known : {true, false}) {
    const auto frames =
        leave(frame_of("127.0.0.6", 40'000, kPod, 8080, 60'000, true), kSidecarLeg, true, known);
    EXPECT_EQ(frames.size(), 42U);  // of 1460 bytes
    std::size_t payload = 0;
    for (const Bytes& frame : frames) {
      EXPECT_LE(frame.size(), 1514U);
      EXPECT_TRUE(adds_up(frame));
      payload += frame.size() - 54;
    }
    EXPECT_EQ(payload, 60'000U);
  }
}

TEST_F(LegRewriterTest, ShowsThePodForTheLoopback) {
  const LegKey key{ip("127.0.0.1"), ip("127.0.0.1"), 40'000, 8080};
  const LegKey key6{ip("::1"), ip("::1"), 40'000, 8080};
  for (const bool partial : {true, false}) {
    for (const bool known : {true, false}) {
      const auto frames =
          leave(frame_of("127.0.0.1", 40'000, "127.0.0.1", 8080, 99, partial), key, partial, known);
      ASSERT_EQ(frames.size(), 1U);
      EXPECT_TRUE(adds_up(frames[0])) << partial << known;
      EXPECT_EQ(parse(frames[0]).destination, ip(kPod));
      EXPECT_EQ(parse(frames[0]).source, ip("127.0.0.1"));
      const auto frames6 =
          leave(frame_of("::1", 40'000, "::1", 8080, 99, partial), key6, partial, known);
      EXPECT_TRUE(adds_up(frames6[0])) << partial << known;
      EXPECT_EQ(parse(frames6[0]).destination, ip(kPod6));
    }
  }
}

TEST_F(LegRewriterTest, ShowsTheOperatorsClientForTheProxysOnly) {
  facts_.clients = {ip("192.0.2.7")};
  rewriter_.set_facts(facts_);
  const auto hidden =
      leave(frame_of("127.0.0.6", 40'000, kPod, 8080, 10, false), kSidecarLeg, false);
  EXPECT_TRUE(adds_up(hidden[0]));
  EXPECT_EQ(parse(hidden[0]).source, ip("192.0.2.7"));
  const LegKey linkerd_key{ip(kPod), ip(kPod), 40'000, 8080};
  EXPECT_EQ(parse(leave(frame_of(kPod, 40'000, kPod, 8080, 10, true), linkerd_key, true)[0]).source,
            ip("192.0.2.7"));
  const LegKey real{ip("10.0.9.9"), ip(kPod), 40'000, 8080};
  EXPECT_EQ(parse(leave(frame_of("10.0.9.9", 40'000, kPod, 8080, 10, true), real, true)[0]).source,
            ip("10.0.9.9"));
  const LegKey v6{ip("::6"), ip(kPod6), 40'000, 8080};
  EXPECT_EQ(parse(leave(frame_of("::6", 40'000, kPod6, 8080, 10, true), v6, true)[0]).source,
            ip("::6"))
      << "none of this family is given";
}

TEST_F(LegRewriterTest, ChangesInPlaceWhatNobodyElseReads) {
  const auto frames =
      leave(frame_of("127.0.0.6", 40'000, kPod, 8080, 100, true), kSidecarLeg, true, true, true);
  EXPECT_TRUE(adds_up(frames[0]));
}

TEST_F(LegRewriterTest, LeavesTheLinkLayerOutWhereTheCaptureHasNone) {
  facts_.link = capture::LinkType::kRawIp;
  rewriter_.set_facts(facts_);
  const Bytes frame = frame_of("127.0.0.6", 40'000, kPod, 8080, 100, true);
  const auto frames = leave(frame, kSidecarLeg, true);
  ASSERT_EQ(frames[0].size(), frame.size() - 14);
  Bytes whole(14);
  test::append(whole, frames[0]);
  EXPECT_TRUE(adds_up(whole));
}

TEST_F(LegRewriterTest, KeepsWhatASnaplenHasCut) {
  Bytes frame = frame_of("127.0.0.6", 40'000, kPod, 8080, 500, true);
  frame.resize(54);
  capture::CapturedPacket captured;
  captured.bytes = frame;
  captured.length = 554;
  const auto view = capture::parse_packet(capture::LinkType::kEthernet, frame);
  const auto leg = rewriter_.rewrite(captured, view, kSidecarLeg);
  EXPECT_EQ(leg.bytes.size(), 54U);
  EXPECT_EQ(leg.length, 554U);
}

}  // namespace
}  // namespace sidetap::mesh
