#include "sidecar/mesh/leg_table.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_mesh/mesh_fixture.h"

namespace sidetap::mesh {
namespace {

using Judged = LegJudgement::Kind;
using test::Bytes;
using test::packet;

Bytes text_payload(std::string_view text) {
  Bytes bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

/// One connection on the loopback interface, a packet at a time.
struct Connection {
  std::string_view client;
  std::uint16_t client_port;
  std::string_view server;
  std::uint16_t server_port;

  Bytes there(std::uint8_t flags, std::string_view text = {}) const {
    Bytes frame = packet().from(client).to(server).tcp(client_port, server_port, flags).ethernet();
    return with_text(std::move(frame), text);
  }
  Bytes back(std::uint8_t flags, std::string_view text = {}) const {
    Bytes frame = packet().from(server).to(client).tcp(server_port, client_port, flags).ethernet();
    return with_text(std::move(frame), text);
  }

 private:
  static Bytes with_text(Bytes frame, std::string_view text) {
    test::append(frame, text_payload(text));
    const bool v4 = (frame[14] >> 4) == std::byte{4};
    const std::size_t length = frame.size() - 14 - (v4 ? 0 : 40);
    const std::size_t at = v4 ? 16 : 18;
    frame[at] = static_cast<std::byte>(length >> 8);
    frame[at + 1] = static_cast<std::byte>(length);
    return frame;
  }
};

constexpr std::uint8_t kSyn = capture::kTcpSyn;
constexpr std::uint8_t kAck = capture::kTcpAck;
constexpr std::uint8_t kSynAck = kSyn | kAck;
constexpr std::uint8_t kFinAck = capture::kTcpFin | kAck;

class LegTableTest : public testing::Test {
 protected:
  LegTableTest() { table_.set_self({ip(kPod), ip(kPod6)}); }

  Judged judge(const Bytes& frame) {
    return table_.judge(capture::parse_packet(capture::LinkType::kEthernet, frame)).kind;
  }
  /// The first packet of a connection with this client.
  Judged open(std::string_view client, std::string_view server, std::uint16_t port) {
    return judge(Connection{client, next_port_++, server, port}.there(kSyn));
  }

  FakeOwners owners_;
  LegTable table_{owners_};
  std::uint16_t next_port_ = 40'000;
};

TEST_F(LegTableTest, WithoutAMeshNothingIsALeg) {
  EXPECT_EQ(open("127.0.0.6", kPod, 8080), Judged::kOther);
}

TEST_F(LegTableTest, WhatTheSidecarOpensFromItsAddressWaitsForItsFirstPayload) {
  table_.set_mesh(istio());
  const Connection leg{"127.0.0.6", 40'000, kPod, 8080};
  EXPECT_EQ(judge(leg.there(kSyn)), Judged::kWait);
  EXPECT_EQ(judge(leg.back(kSynAck)), Judged::kWait);
  EXPECT_EQ(judge(leg.there(kAck)), Judged::kWait);
  EXPECT_EQ(judge(leg.there(kAck, "GET / HTTP/1.1\r\nHost: web\r\n\r\n")), Judged::kLeg);
  EXPECT_EQ(judge(leg.back(kAck, "HTTP/1.1 200 OK\r\n\r\n")), Judged::kLeg);
}

TEST_F(LegTableTest, TheSameForIpv6) {
  table_.set_mesh(istio());
  const Connection leg{"::6", 40'000, kPod6, 8080};
  EXPECT_EQ(judge(leg.there(kSyn)), Judged::kWait);
  EXPECT_EQ(judge(leg.there(kAck, "PRI * HTTP/2.0\r\n\r\n")), Judged::kLeg);
}

TEST_F(LegTableTest, AServerThatSpeaksFirstMakesALegToo) {
  table_.set_mesh(istio());
  const Connection leg{"127.0.0.6", 40'000, kPod, 8080};
  judge(leg.there(kSyn));
  EXPECT_EQ(judge(leg.back(kAck, "220 ready\r\n")), Judged::kLeg);
}

TEST_F(LegTableTest, AProbeThatTheAgentHandsOnIsNone) {
  table_.set_mesh(istio());
  const Connection probe{"127.0.0.6", 40'000, kPod, 8080};
  const std::string request =
      "GET /healthz HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: kube-probe/1.31\r\n\r\n";
  EXPECT_EQ(judge(probe.there(kSyn)), Judged::kWait);
  EXPECT_EQ(judge(probe.there(kAck, request)), Judged::kOther);
  EXPECT_EQ(judge(probe.back(kAck, "HTTP/1.1 200 OK\r\n\r\n")), Judged::kOther);
  // One that passes the proxy comes on a connection that clients use too.
  const Connection leg{"127.0.0.6", 40'001, kPod, 8080};
  judge(leg.there(kSyn));
  EXPECT_EQ(judge(leg.there(kAck,
                            "GET /healthz HTTP/1.1\r\nuser-agent: kube-probe/1.31\r\n"
                            "x-request-id: 7\r\n\r\n")),
            Judged::kLeg);
}

TEST_F(LegTableTest, AScrapeByTheAgentIsNone) {
  table_.set_mesh(istio());
  owners_.open("127.0.0.1", 40'000, "127.0.0.1", 8080, kProxyUser);
  const Connection scrape{"127.0.0.1", 40'000, "127.0.0.1", 8080};
  EXPECT_EQ(judge(scrape.there(kSyn)), Judged::kWait);
  EXPECT_EQ(judge(scrape.there(kAck,
                               "GET /metrics HTTP/1.1\r\nHost: localhost:8080\r\n"
                               "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n")),
            Judged::kOther);
}

TEST_F(LegTableTest, AConnectionWithoutAByteIsAProbeOfThePort) {
  table_.set_mesh(istio());
  const Connection probe{"127.0.0.6", 40'000, kPod, 8080};
  judge(probe.there(kSyn));
  judge(probe.back(kSynAck));
  EXPECT_EQ(judge(probe.there(kFinAck)), Judged::kOther);
  const Connection refused{"127.0.0.6", 40'001, kPod, 8080};
  judge(refused.there(kSyn));
  EXPECT_EQ(judge(refused.back(capture::kTcpRst | kAck)), Judged::kOther);
}

TEST_F(LegTableTest, WhatStaysSilentBecomesALeg) {
  table_.set_mesh(istio());
  const Connection leg{"127.0.0.6", 40'000, kPod, 8080};
  const auto syn = leg.there(kSyn);
  const auto key = table_.judge(capture::parse_packet(capture::LinkType::kEthernet, syn)).key;
  EXPECT_TRUE(table_.settle(key));
  EXPECT_EQ(judge(leg.there(kAck)), Judged::kLeg);
}

TEST_F(LegTableTest, AnAddressThatOnlyTheProxyCanBindMakesALeg) {
  table_.set_mesh(ambient());
  EXPECT_EQ(open("10.0.9.9", kPod, 8080), Judged::kLeg);
  EXPECT_EQ(open("fd00::9", kPod6, 8080), Judged::kLeg);
  EXPECT_EQ(owners_.asked, 0U);
}

TEST_F(LegTableTest, OfTheProxysUserEveryAddressMakesALeg) {
  table_.set_mesh(linkerd());
  owners_.open(kPod, 40'000, kPod, 8080, 2102);
  EXPECT_EQ(open(kPod, kPod, 8080), Judged::kLeg);
  table_.set_mesh(consul());
  owners_.open("127.0.0.1", 40'001, "127.0.0.1", 8080, 5995);
  EXPECT_EQ(open("127.0.0.1", "127.0.0.1", 8080), Judged::kLeg);
}

TEST_F(LegTableTest, WhatOthersOpenIsNone) {
  table_.set_mesh(consul());
  owners_.open("127.0.0.1", 40'000, "127.0.0.1", 5432, kAppUser);
  EXPECT_EQ(open("127.0.0.1", "127.0.0.1", 5432), Judged::kOther) << "a database on localhost";
  EXPECT_EQ(open("127.0.0.1", "127.0.0.1", 8080), Judged::kOther) << "nobody knows who";
  owners_.open("127.0.0.1", 40'002, "127.0.0.1", 8080, 0);
  EXPECT_EQ(open("127.0.0.1", "127.0.0.1", 8080), Judged::kOther) << "root";
}

TEST_F(LegTableTest, ToOtherPortsAndAddressesNothingIsALeg) {
  table_.set_mesh(istio());
  for (const std::uint16_t port :
       std::initializer_list<std::uint16_t>{15000, 15001, 15006, 15020, 15021, 15090, 15920, 9999})
    EXPECT_EQ(open("127.0.0.6", kPod, port), Judged::kOther) << port;
  EXPECT_EQ(open("127.0.0.6", "10.0.0.2", 8080), Judged::kOther);
}

TEST_F(LegTableTest, TheReplyToAnOutboundConnectionIsNone) {
  table_.set_mesh(istio());
  // The application connects to 10.0.0.9:8080, and the proxy answers in its name.
  const Connection outbound{kPod, 8080, "10.0.0.9", 40'000};
  EXPECT_EQ(judge(outbound.back(kSynAck)), Judged::kOther);
  EXPECT_EQ(judge(outbound.back(kAck, "HTTP/1.1 200 OK\r\n\r\n")), Judged::kOther);
}

TEST_F(LegTableTest, AConnectionOlderThanTheTapIsKnownByItsSocket) {
  table_.set_mesh(linkerd());
  owners_.open(kPod, 40'000, kPod, 8080, 2102);
  const Connection leg{kPod, 40'000, kPod, 8080};
  EXPECT_EQ(judge(leg.back(kAck, "midway")), Judged::kLeg);
  EXPECT_EQ(judge(leg.there(kAck, "on")), Judged::kLeg);
}

TEST_F(LegTableTest, TheSameEndsAreJudgedAnewWhenTheyMeetAgain) {
  table_.set_mesh(linkerd());
  const Connection again{kPod, 40'000, kPod, 8080};
  EXPECT_EQ(judge(again.there(kSyn)), Judged::kOther);
  EXPECT_EQ(judge(again.there(capture::kTcpRst)), Judged::kOther);
  owners_.open(kPod, 40'000, kPod, 8080, 2102);
  EXPECT_EQ(judge(again.there(kSyn)), Judged::kLeg);
  const unsigned before = owners_.asked;
  EXPECT_EQ(judge(again.there(kSyn)), Judged::kLeg);
  EXPECT_EQ(owners_.asked, before) << "the SYN comes a second time";
}

TEST_F(LegTableTest, TellsWhatCarriesARequest) {
  table_.set_mesh(ambient());
  const Connection leg{"10.0.9.9", 40'000, kPod, 8080};
  const auto judgement = [&](const Bytes& frame) {
    return table_.judge(capture::parse_packet(capture::LinkType::kEthernet, frame));
  };
  EXPECT_FALSE(judgement(leg.there(kSyn)).request);
  EXPECT_TRUE(judgement(leg.there(kAck, "x")).request);
  EXPECT_FALSE(judgement(leg.back(kAck, "y")).request);
  EXPECT_EQ(judgement(leg.back(kAck, "y")).key.client, ip("10.0.9.9"));
}

TEST_F(LegTableTest, ForgetsRatherThanGrows) {
  table_.set_mesh(ambient());
  for (std::uint32_t i = 0; i < LegTable::kMostFlows + 10; ++i) {
    const auto frame = packet()
                           .from(net::IpAddress::v4(0x0b000000U + i))
                           .to(kPod)
                           .tcp(40'000, 8080, kSyn)
                           .ethernet();
    judge(frame);
  }
  EXPECT_LE(table_.flows(), LegTable::kMostFlows);
}

TEST_F(LegTableTest, AFullTableMakesRoomForMany) {
  table_.set_mesh(ambient());
  const auto frame = [](std::uint32_t client, std::uint8_t flags) {
    return packet()
        .from(net::IpAddress::v4(0x0b000000U + client))
        .to(kPod)
        .tcp(40'000, 8080, flags)
        .ethernet();
  };
  for (std::uint32_t i = 0; i < LegTable::kMostFlows; ++i) judge(frame(i, kSyn));
  EXPECT_EQ(table_.flows(), LegTable::kMostFlows);
  judge(frame(0, capture::kTcpRst));
  judge(frame(LegTable::kMostFlows, kSyn));
  EXPECT_LT(table_.flows(), LegTable::kMostFlows / 4 * 3)
      << "the room of one closed connection would be used up at once";
}

TEST(LegKeyHash, CannotBeForeseenWithoutItsSeed) {
  const LegKeyHash one{1};
  const LegKeyHash two{2};
  for (const auto& [client, server] :
       {std::pair("10.0.9.9", "10.0.0.1"), std::pair("fd00::9", "fd00::1")}) {
    const LegKey key{ip(client), ip(server), 40'000, 8080};
    LegKey next = key;
    ++next.client_port;
    EXPECT_NE(one(key), one(next));
    EXPECT_NE(one(key), two(key));
    EXPECT_NE(one(key) ^ one(next), two(key) ^ two(next));
  }
}

TEST(TcpPayload, EndsWhereTheIpPacketEnds) {
  Bytes frame = packet().from(kPod).to(kPod).tcp(1, 2).ethernet();
  frame.resize(60);  // padding of a short frame
  EXPECT_EQ(tcp_payload(capture::parse_packet(capture::LinkType::kEthernet, frame)).size, 0U);
}

}  // namespace
}  // namespace sidetap::mesh
