// The protocol as tables: every message in every phase, and what a hostile peer may send.
#include "sidecar/session/protocol.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_session/scripted_session.h"

namespace sidetap::session {
namespace {

using rpcap::ErrorCode;
using rpcap::MessageType;
using testing::HasSubstr;

const rpcap::Filter kFilter = {{0x28, 0, 0, 12}, {6, 0, 0, 96}};

rpcap::Bytes start(std::uint16_t flags, std::uint16_t port, std::uint32_t snaplen = 65'535) {
  return rpcap::encode_start_request({.snaplen = snaplen,
                                      .read_timeout_ms = 100,
                                      .flags = flags,
                                      .data_port = port,
                                      .filter = kFilter});
}
rpcap::Bytes empty(MessageType type) { return rpcap::encode_empty(type); }
rpcap::Bytes raw(int version, int type, std::uint32_t size) {
  rpcap::Bytes bytes(rpcap::kHeaderSize + size);
  rpcap::encode_header({.version = static_cast<std::uint8_t>(version),
                        .type = static_cast<MessageType>(type),
                        .value = 0,
                        .payload_size = size},
                       std::span<std::byte, 8>(bytes.data(), 8));
  return bytes;
}

/// The request that brings a session from one phase to the next.
void bring_to(ScriptedSession& session, Phase phase) {
  if (phase == Phase::kAuthenticating) return;
  session.receive(rpcap::encode_auth_request({}));
  if (phase == Phase::kReady) return;
  session.receive(rpcap::encode_open_request("eth0"));
  if (phase == Phase::kOpened) return;
  session.receive(start(rpcap::kStartDatagram, 5'000));
}

/// What the tap answers: "reply 136", "error 16", each with "end" when it hangs up.
std::string answer_in(Phase phase, const rpcap::Bytes& message) {
  ScriptedSession session({});
  bring_to(session, phase);
  EXPECT_EQ(session.phase(), phase);
  session.forget();
  session.receive(message);
  return session.summary();
}

struct Row {
  const char* name;
  rpcap::Bytes message;
  const char* authenticating;
  const char* ready;
  const char* opened;
  const char* capturing;
};

class EveryMessageInEveryPhase : public testing::TestWithParam<Row> {};

TEST_P(EveryMessageInEveryPhase, IsAnsweredAsByRpcapd) {
  const Row& row = GetParam();
  EXPECT_EQ(answer_in(Phase::kAuthenticating, row.message), row.authenticating);
  EXPECT_EQ(answer_in(Phase::kReady, row.message), row.ready);
  EXPECT_EQ(answer_in(Phase::kOpened, row.message), row.opened);
  EXPECT_EQ(answer_in(Phase::kCapturing, row.message), row.capturing);
}

INSTANTIATE_TEST_SUITE_P(
    Protocol, EveryMessageInEveryPhase,
    testing::Values(
        Row{"Error", rpcap::encode_error(ErrorCode::kHostNotAuthorized, "no"), "end refused", "",
            "", ""},
        Row{"FindAllInterfaces", empty(MessageType::kFindAllInterfacesRequest), "error 16",
            "reply 130", "reply 130", "reply 130"},
        Row{"Open", rpcap::encode_open_request("eth0"), "error 16", "reply 131", "reply 131",
            "reply 131"},
        Row{"OpenOfAnother", rpcap::encode_open_request("wlan0"), "error 16", "error 6", "error 6",
            "error 6"},
        Row{"StartCapture", start(rpcap::kStartDatagram, 5'000), "error 16", "error 12",
            "start, reply 132", "error 12"},
        Row{"UpdateFilter", rpcap::encode_update_filter(kFilter), "error 16", "error 7", "error 7",
            "update, reply 133"},
        Row{"Close", empty(MessageType::kClose), "end closed", "end closed", "end closed",
            "stop, end closed"},
        Row{"Packet", raw(0, 7, 30), "error 16", "error 16, end protocol", "error 16, end protocol",
            "stop, error 16, end protocol"},
        Row{"Authentication", rpcap::encode_auth_request({}), "reply 136", "error 16, end protocol",
            "error 16, end protocol", "stop, error 16, end protocol"},
        Row{"Stats", empty(MessageType::kStatsRequest), "error 16", "reply 137", "reply 137",
            "reply 137"},
        Row{"EndCapture", empty(MessageType::kEndCaptureRequest), "error 16", "error 13",
            "error 13", "stop, reply 138"},
        Row{"SetSampling", rpcap::encode_sampling({rpcap::SamplingMethod::kOneInN, 5}), "error 16",
            "reply 139", "reply 139", "reply 139"},
        Row{"Udpstr", raw(0, 110, 0), "error 16", "error 16, end protocol",
            "error 16, end protocol", "stop, error 16, end protocol"},
        Row{"AReply", empty(MessageType::kStatsReply), "error 16", "error 16, end protocol",
            "error 16, end protocol", "stop, error 16, end protocol"},
        Row{"Unknown", raw(0, 200, 3), "error 16", "error 16, end protocol",
            "error 16, end protocol", "stop, error 16, end protocol"},
        Row{"AnotherVersion", raw(1, 8, 8), "error 17, end protocol", "error 17, end protocol",
            "error 17, end protocol", "stop, error 17, end protocol"}),
    [](const auto& row) { return std::string(row.param.name); });

class ProtocolTest : public testing::Test {
 protected:
  static ScriptedSession ready(ProtocolConfig config) {
    ScriptedSession session(std::move(config));
    session.receive(rpcap::encode_auth_request({}));
    session.forget();
    return session;
  }
  static ScriptedSession opened(ProtocolConfig config) {
    ScriptedSession session = ready(std::move(config));
    session.receive(rpcap::encode_open_request("eth0"));
    session.forget();
    return session;
  }
};

TEST_F(ProtocolTest, ATlsHandshakeThatNobodyExpectsIsNamed) {
  ScriptedSession session({});
  session.receive(raw(22, 3, 0));
  EXPECT_EQ(session.summary(), "end protocol");
  EXPECT_THAT(session.end()->text, HasSubstr("TLS"));
}

TEST_F(ProtocolTest, ARefusalTellsThePeersWordsWithoutControlCharacters) {
  ScriptedSession session({});
  session.receive(rpcap::encode_error(ErrorCode::kHostNotAuthorized, "go\naway"));
  EXPECT_THAT(session.end()->text, HasSubstr("go away"));
}

TEST_F(ProtocolTest, APasswordMustBeRight) {
  ScriptedSession session({.user = "me", .password = "secret"});
  session.receive(rpcap::encode_auth_request({}));
  session.receive(rpcap::encode_auth_request({true, "me", "Secret"}));
  session.receive(rpcap::encode_auth_request({true, "you", "secret"}));
  session.receive(rpcap::encode_auth_request({true, "me", "secre"}));
  session.receive(rpcap::encode_auth_request({true, "", ""}));
  session.receive(rpcap::encode_auth_request({true, "me", "secret"}));
  EXPECT_EQ(session.summary(),
            "error 18, pause, error 18, pause, error 18, pause, error 18, pause, error 18, "
            "reply 136");
}

TEST_F(ProtocolTest, WithoutAUserOnlyNullAuthenticationIsTaken) {
  ScriptedSession session({});
  session.receive(rpcap::encode_auth_request({true, "", ""}));
  session.receive(raw(0, 8, 3));
  rpcap::Bytes strange = rpcap::encode_auth_request({});
  strange[rpcap::kHeaderSize + 1] = std::byte{7};
  session.receive(strange);
  session.receive(rpcap::encode_auth_request({}));
  EXPECT_EQ(session.summary(), "error 18, error 3, error 3, reply 136");
}

TEST_F(ProtocolTest, TheInterfaceTellsThePod) {
  ScriptedSession session = ready({.description = "shop/web-0", .preselected = true});
  session.receive(empty(MessageType::kFindAllInterfacesRequest));
  const auto list = rpcap::decode_interfaces(session.last_payload(), 1);
  ASSERT_TRUE(list) << list.error().text;
  EXPECT_EQ(list->at(0).name, "eth0");
  EXPECT_EQ(list->at(0).description, "shop/web-0;preselected");
  EXPECT_EQ(list->at(0).addresses.size(), 1U);
  ScriptedSession plain = ready({.ipv6_family = rpcap::Ipv6Family::kWindows});
  plain.receive(empty(MessageType::kFindAllInterfacesRequest));
  EXPECT_EQ(rpcap::decode_interfaces(plain.last_payload(), 1)->at(0).description, "as captured");
}

TEST_F(ProtocolTest, ADescriptionFitsLibpcapsClient) {
  ScriptedSession session = ready({.description = std::string(5'000, 'x'), .preselected = true});
  session.receive(empty(MessageType::kFindAllInterfacesRequest));
  const auto list = rpcap::decode_interfaces(session.last_payload(), 1);
  EXPECT_LT(list->at(0).description.size(), 1'024U);
  EXPECT_THAT(list->at(0).description, testing::EndsWith(";preselected"));
}

TEST_F(ProtocolTest, TheSmallerSnaplenWins) {
  const std::map<std::uint32_t, std::uint32_t> expected = {
      {0, 1'000}, {96, 96}, {1'000, 1'000}, {70'000, 1'000}, {0xffffffff, 1'000}};
  for (const auto& [asked, given] : expected) {
    ScriptedSession session = opened({.snaplen = 1'000});
    session.receive(start(rpcap::kStartDatagram, 5'000, asked));
    EXPECT_EQ(session.started()->snaplen, given) << asked;
    EXPECT_EQ(session.started()->filter, kFilter);
  }
}

TEST_F(ProtocolTest, SamplingCountsFromTheNextCaptureOn) {
  ScriptedSession session = opened({});
  session.receive(rpcap::encode_sampling({rpcap::SamplingMethod::kOncePerNMillis, 20}));
  session.receive(start(rpcap::kStartDatagram, 5'000));
  EXPECT_EQ(session.started()->sampling,
            (rpcap::Sampling{rpcap::SamplingMethod::kOncePerNMillis, 20}));
}

TEST_F(ProtocolTest, StatsOutliveTheirCapture) {
  ScriptedSession session = opened({});
  const auto stats = [&session] {
    session.receive(empty(MessageType::kStatsRequest));
    return *rpcap::decode_stats(session.last_payload());
  };
  EXPECT_EQ(stats(), rpcap::Stats{});
  session.receive(start(rpcap::kStartDatagram, 5'000));
  EXPECT_EQ(stats(), ScriptedSession::kStats);
  session.receive(empty(MessageType::kEndCaptureRequest));
  EXPECT_EQ(stats(), ScriptedSession::kStats);
}

// Who opens the data connection: active or passive, UDP or TCP, asked for or not.
TEST_F(ProtocolTest, DataGoesWhereTheModeSays) {
  struct Case {
    bool active;
    std::uint16_t flags;
    bool datagram;
    bool listen;
  };
  for (const Case& wanted :
       {Case{true, 0, false, false}, Case{true, 2, true, false}, Case{true, 4, false, false},
        Case{false, 0, false, true}, Case{false, 2, true, false}, Case{false, 4, false, false}}) {
    ScriptedSession session = opened({.active = wanted.active});
    session.receive(start(wanted.flags, 5'000));
    EXPECT_EQ(session.opened_data()->datagram, wanted.datagram);
    EXPECT_EQ(session.opened_data()->listen, wanted.listen);
    EXPECT_EQ(session.opened_data()->port, wanted.listen ? 0 : 5'000);
    const auto reply = rpcap::decode_start_reply(session.last_payload());
    EXPECT_EQ(reply->data_port, wanted.listen ? ScriptedSession::kListeningPort : 0);
    EXPECT_EQ(session.phase(), Phase::kCapturing);
  }
}

TEST_F(ProtocolTest, TheReplyComesBeforeWhatThePeerHasToDoAndAfterWhatTheTapDoes) {
  const auto order = [](ProtocolConfig config, std::uint16_t flags) {
    ScriptedSession session = opened(std::move(config));
    session.receive(start(flags, 5'000));
    return session.summary(ScriptedSession::kVerbose);
  };
  EXPECT_EQ(order({.active = true}, 2), "open, start, reply 132");
  EXPECT_EQ(order({.active = true}, 0), "open, start, reply 132");
  EXPECT_EQ(order({.active = true, .tls = true}, 0), "open, reply 132, finish, start");
  EXPECT_EQ(order({.active = false}, 0), "open, reply 132, finish, start");
}

TEST_F(ProtocolTest, PacketsNeverLeaveOverUdpUnderTls) {
  ScriptedSession session = opened({.tls = true});
  session.receive(start(rpcap::kStartDatagram, 5'000));
  EXPECT_EQ(session.summary(), "error 12");
  EXPECT_FALSE(session.opened_data());
}

TEST_F(ProtocolTest, PortZeroIsRefused) {
  ScriptedSession session = opened({});
  session.receive(start(rpcap::kStartDatagram, 0));
  EXPECT_EQ(session.summary(), "error 12");
}

TEST_F(ProtocolTest, WhatTheTapCannotDoIsAnErrorAndTheSessionGoesOn) {
  ScriptedSession session = opened({});
  session.fail_next("no route");
  session.receive(start(rpcap::kStartDatagram, 5'000));
  EXPECT_EQ(session.summary(), "stop, error 12");
  EXPECT_THAT(rpcap::decode_error(session.last_payload()), HasSubstr("no route"));
  session.receive(start(rpcap::kStartDatagram, 5'000));
  EXPECT_EQ(session.phase(), Phase::kCapturing);
  session.forget();
  session.fail_next("bad jump");
  session.receive(rpcap::encode_update_filter(kFilter));
  EXPECT_EQ(session.summary(), "update, error 7");
  EXPECT_EQ(session.phase(), Phase::kCapturing);
}

TEST_F(ProtocolTest, HostileSizesAreDiscardedInPieces) {
  for (const int type : {2, 3, 4, 5, 9, 10, 11}) {
    ScriptedSession session = opened({});
    session.announce(raw(0, type, 0), 0xffffffff);
    EXPECT_LE(session.largest_payload(), 131'100U) << type;
    EXPECT_EQ(session.phase(), Phase::kOpened) << type;
    EXPECT_GT(session.discarded(), 0xff000000U) << type;
  }
  ScriptedSession stranger({});
  stranger.announce(raw(0, 8, 0), 0xffffffff);
  EXPECT_LE(stranger.largest_payload(), 131'100U);
}

TEST_F(ProtocolTest, ARequestThatIsTooShortIsAnErrorOfItsKind) {
  const std::map<int, std::string> expected = {{4, "error 12"}, {11, "error 15"}};
  for (const auto& [type, answer] : expected) {
    ScriptedSession session = opened({});
    session.receive(raw(0, type, 2));
    EXPECT_EQ(session.summary(), answer);
  }
}

TEST_F(ProtocolTest, SilenceIsBoundedWhereNothingRuns) {
  const auto limit = [](const ScriptedSession& session) { return session.header_limit(); };
  EXPECT_EQ(limit(ScriptedSession({})), Protocol::kAuthenticationLimit);
  EXPECT_EQ(limit(opened({.active = true})), std::nullopt);
  ScriptedSession passive = opened({.active = false});
  EXPECT_EQ(limit(passive), Protocol::kIdleLimit);
  passive.receive(start(rpcap::kStartDatagram, 5'000));
  EXPECT_EQ(limit(passive), std::nullopt);
  ScriptedSession silent({});
  silent.resume(IdleTooLong{});
  EXPECT_EQ(silent.summary(), "error 2, end timeout");
}

TEST_F(ProtocolTest, EveryEndStopsTheCapture) {
  const std::vector<std::pair<Event, std::string>> cases = {
      {StopRequested{}, "stop, send 6, end stopped"},
      {CaptureLost{"port unreachable"}, "stop, error 1, end data"},
      {ConnectionLost{EndKind::kLost, "reset"}, "stop, end lost"}};
  for (const auto& [event, answer] : cases) {
    ScriptedSession session = opened({});
    session.receive(start(rpcap::kStartDatagram, 5'000));
    session.forget();
    session.resume(event);
    EXPECT_EQ(session.summary(), answer);
    EXPECT_EQ(session.phase(), Phase::kEnded);
  }
}

}  // namespace
}  // namespace sidetap::session
