#include "sidecar/mesh/cover_table.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_mesh/mesh_fixture.h"

namespace sidetap::mesh {
namespace {

using Verdict = CoverTable::Verdict;
using test::Bytes;
using test::packet;

constexpr std::uint8_t kOpening = capture::kTcpSyn;
constexpr std::uint8_t kPlain = capture::kTcpAck;
const std::string kHello = "\x16\x03\x01 hello";
const std::string kData = "\x17\x03\x03 data";

class CoverTableTest : public testing::Test {
 protected:
  CoverTableTest() {
    table_.set_self({ip(kPod)});
    table_.set_mesh(istio());
  }

  static Bytes frame(bool to_server, std::uint8_t flags, std::string_view text,
                     std::uint16_t client_port, std::uint16_t port) {
    Bytes bytes = to_server
                      ? packet().from("10.0.0.9").to(kPod).tcp(client_port, port, flags).ethernet()
                      : packet().from(kPod).to("10.0.0.9").tcp(port, client_port, flags).ethernet();
    for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
    const std::size_t length = bytes.size() - 14;
    bytes[16] = static_cast<std::byte>(length >> 8);
    bytes[17] = static_cast<std::byte>(length);
    return bytes;
  }
  /// A packet of the client with port 40000, or of the server to it, a second after the last.
  Verdict pass(bool to_server, std::uint8_t flags, std::string_view text = {},
               std::uint16_t port = 8080) {
    const Bytes bytes = frame(to_server, flags, text, 40'000, port);
    time_ += 1'000'000'000;
    const auto judgement =
        table_.judge(capture::parse_packet(capture::LinkType::kEthernet, bytes), time_);
    key_ = judgement.key;
    held_ += judgement.verdict == Verdict::kHold ? 1 : 0;
    return judgement.verdict;
  }
  void shake_hands(std::uint16_t port = 8080) {
    pass(true, kOpening, {}, port);
    pass(false, kOpening | kPlain, {}, port);
    pass(true, kPlain, kHello, port);
    pass(false, kPlain, std::string(300, 's'), port);
    pass(true, kPlain, kData, port);
  }
  /// Whether what was held is left out, and that of all of it.
  bool all_covered() { return count_covered() == released_; }
  bool none_covered() { return count_covered() == 0; }
  unsigned count_covered() {
    unsigned covered = 0;
    released_ = held_;
    for (; held_ != 0; --held_) covered += table_.release(key_) ? 1 : 0;
    return covered;
  }

  FakeOwners owners_;
  CoverTable table_{owners_};
  std::int64_t time_ = 1'000'000'000;
  LegKey key_;
  unsigned held_ = 0;
  unsigned released_ = 0;
};

TEST_F(CoverTableTest, CiphertextWhoseRequestIsCapturedIsCoveredFromItsFirstPacketOn) {
  shake_hands();
  table_.note_request(8080, time_ + 1);
  EXPECT_EQ(pass(false, kPlain, std::string(400, 'a')), Verdict::kHold);
  EXPECT_EQ(held_, 6U);
  EXPECT_TRUE(all_covered());
  EXPECT_EQ(pass(true, kPlain, kData), Verdict::kCovered);
  EXPECT_EQ(pass(false, capture::kTcpFin | kPlain), Verdict::kCovered);
}

TEST_F(CoverTableTest, WithoutALegNothingIsCovered) {
  shake_hands();
  EXPECT_TRUE(none_covered());
}

TEST_F(CoverTableTest, ARequestOfBeforeCoversNothing) {
  table_.note_request(8080, time_);
  shake_hands();
  EXPECT_TRUE(none_covered());
}

TEST_F(CoverTableTest, ALegToAnotherPortCoversNothing) {
  shake_hands();
  table_.note_request(5432, time_ + 1);
  EXPECT_TRUE(none_covered());
}

TEST_F(CoverTableTest, AHandshakeThatFailsStaysVisibleWhileOthersHaveRequests) {
  shake_hands();
  table_.note_request(8080, time_ + 1);
  pass(false, kPlain, "\x15\x03\x03 alert");
  pass(false, capture::kTcpFin | kPlain);
  EXPECT_TRUE(none_covered());
}

TEST_F(CoverTableTest, AConnectionThatIsRefusedStaysVisible) {
  pass(true, kOpening);
  pass(false, capture::kTcpRst | kPlain);
  table_.note_request(8080, time_ + 1);
  EXPECT_TRUE(none_covered());
}

TEST_F(CoverTableTest, AnIdleConnectionIsCoveredOnceItIsUsed) {
  pass(true, kOpening);
  pass(false, kOpening | kPlain);
  pass(true, kPlain, kHello);
  pass(false, kPlain, std::string(300, 's'));
  EXPECT_TRUE(none_covered()) << "nobody knows yet";
  EXPECT_EQ(pass(true, kPlain, kData), Verdict::kHold);
  table_.note_request(8080, time_ + 1);
  EXPECT_TRUE(all_covered());
}

TEST_F(CoverTableTest, ThroughATunnelALegToAnyPortCovers) {
  table_.set_mesh(ambient());
  shake_hands(15008);
  table_.note_request(5432, time_ + 1);
  EXPECT_TRUE(all_covered());
}

TEST_F(CoverTableTest, CleartextIsCoveredOnlyIfTheProxyHasItsSocket) {
  pass(true, kOpening);
  EXPECT_EQ(pass(true, kPlain, "GET / HTTP/1.1\r\n"), Verdict::kHold);
  table_.note_request(8080, time_ + 1);
  EXPECT_TRUE(none_covered()) << "it goes to the application itself";
  EXPECT_EQ(pass(true, kPlain, "GET / HTTP/1.1\r\n"), Verdict::kVisible);

  pass(true, capture::kTcpRst);
  owners_.open(kPod, 15006, "10.0.0.9", 40'000, kProxyUser);
  held_ = 0;
  pass(true, kOpening);
  pass(true, kPlain, "GET / HTTP/1.1\r\n");
  table_.note_request(8080, time_ + 1);
  EXPECT_TRUE(all_covered());
}

TEST_F(CoverTableTest, AProxyWithManyPortsCostsFewQuestions) {
  auto listeners = listeners_of({15001, 15006, 15021});
  for (std::uint16_t port = 20'000; port < 21'000; ++port)
    listeners.push_back({ip("0.0.0.0"), port, kProxyUser});
  table_.set_mesh(find_mesh({}, listeners));
  pass(true, kOpening);
  pass(true, kPlain, "GET / HTTP/1.1\r\n");
  EXPECT_EQ(owners_.looked, 1U);
  EXPECT_EQ(owners_.asked, 1U);
}

TEST_F(CoverTableTest, OtherPortsAreNotLookedAt) {
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{15020, 15021, 9999})
    EXPECT_EQ(pass(true, kOpening, {}, port), Verdict::kVisible) << port;
  table_.set_mesh({});
  EXPECT_EQ(pass(true, kOpening), Verdict::kVisible);
}

TEST_F(CoverTableTest, AConnectionOlderThanTheTapIsCoveredByItsRecords) {
  EXPECT_EQ(pass(true, kPlain, kData), Verdict::kHold);
  table_.note_request(8080, time_ + 1);
  EXPECT_TRUE(all_covered());
}

TEST_F(CoverTableTest, WhatNeverHasALegIsHeldNoLonger) {
  shake_hands();
  for (int i = 0; i < 300; ++i) {
    pass(true, kPlain, kData);
    EXPECT_TRUE(none_covered());
  }
  EXPECT_EQ(pass(true, kPlain, kData), Verdict::kVisible);
}

}  // namespace
}  // namespace sidetap::mesh
