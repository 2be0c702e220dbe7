// How the sensor's side of a session ends: in good order, and by what a hostile tap sends.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/collector/tap_protocol.h"
#include "tests/unit/sidecar_collector/good_tap.h"

namespace sidetap::collector {
namespace {

using rpcap::MessageType;
using testing::HasSubstr;

/// The end of a session in which the tap sends `message` at this phase.
std::string end_after(TapPhase phase, const rpcap::Bytes& message) {
  ScriptedTap tap({});
  bring_to(tap, phase);
  tap.done();
  tap.send(message);
  return tap.done();
}

TEST(TapProtocolEnd, RefusesAnotherLinkLayer) {
  EXPECT_EQ(end_after(TapPhase::kOpening, opened(101)), "send 6, end unsuitable");
}

TEST(TapProtocolEnd, StopsInGoodOrder) {
  ScriptedTap tap({});
  bring_to(tap, TapPhase::kCapturing);
  tap.done();
  tap.resume(StopRequested{});
  EXPECT_EQ(tap.done(), "send 9");
  EXPECT_EQ(tap.phase(), TapPhase::kEnding);
  tap.send(rpcap::encode_stats({1, 2, 3, 4}));
  EXPECT_EQ(tap.done(), "send 10");
  tap.send(empty_message(MessageType::kEndCaptureReply));
  EXPECT_EQ(tap.done(), "settle, send 6, shut, end stopped");
}

TEST(TapProtocolEnd, StopsAfterTheRequestAtHand) {
  ScriptedTap tap({});
  bring_to(tap, TapPhase::kCapturing);
  tap.resume(FilterChanged{kNarrow});
  tap.done();
  tap.resume(StopRequested{});
  EXPECT_EQ(tap.done(), "");
  tap.send(empty_message(MessageType::kUpdateFilterReply));
  EXPECT_EQ(tap.done(), "send 9");
}

TEST(TapProtocolEnd, BeforeACaptureStopsAtOnce) {
  ScriptedTap opening({});
  opening.done();
  opening.resume(StopRequested{});
  EXPECT_EQ(opening.done(), "send 6, end stopped");

  ScriptedTap starting({});
  bring_to(starting, TapPhase::kStarting);
  starting.done();
  starting.resume(StopRequested{});
  EXPECT_EQ(starting.done(), "send 6, shut, end stopped");
}

TEST(TapProtocolEnd, AtItsEndTheTapMayCloseTheStreamFirst) {
  ScriptedTap tap({.datagram = false});
  bring_to(tap, TapPhase::kEnding);
  tap.send(rpcap::encode_stats({}));
  tap.done();
  tap.resume(DataLost{"the stream ended"});
  EXPECT_EQ(tap.done(), "");
  tap.send(empty_message(MessageType::kEndCaptureReply));
  EXPECT_EQ(tap.done(), "settle, send 6, shut, end stopped");
}

TEST(TapProtocolEnd, WithoutItsStreamACaptureIsOver) {
  ScriptedTap tap({.datagram = false});
  bring_to(tap, TapPhase::kCapturing);
  tap.done();
  tap.resume(DataLost{"the stream ended"});
  EXPECT_EQ(tap.done(), "");
  EXPECT_EQ(tap.limit(), TapProtocol::kFarewellLimit);
  tap.resume(NothingCame{});
  EXPECT_EQ(tap.done(), "send 6, settle, shut, end data");
  EXPECT_EQ(tap.end()->text, "the stream ended");
}

TEST(TapProtocolEnd, ATapThatStopsEndsItsStreamFirst) {
  ScriptedTap tap({.datagram = false});
  bring_to(tap, TapPhase::kCapturing);
  tap.resume(DataLost{"the stream ended"});
  tap.done();
  tap.send(empty_message(MessageType::kClose));
  EXPECT_EQ(tap.done(), "settle, shut, end closed");
}

TEST(TapProtocolEnd, AnAnswerThatWasUnderWayDoesNotBringTheStreamBack) {
  ScriptedTap tap({.datagram = false});
  bring_to(tap, TapPhase::kCapturing);
  tap.resume(NothingCame{});
  tap.resume(DataLost{"the stream ended"});
  tap.done();
  tap.send(rpcap::encode_stats({}));
  EXPECT_EQ(tap.done(), "send 6, settle, shut, end data");
}

TEST(TapProtocolEnd, WithoutADataConnectionThereIsNoCapture) {
  ScriptedTap tap({});
  bring_to(tap, TapPhase::kOpening);
  tap.fail_data("no port is free");
  tap.done();
  tap.send(opened());
  EXPECT_EQ(tap.done(), "open, send 6, shut, end data");
}

TEST(TapProtocolEnd, ATapThatDoesNotAnswerIsLeft) {
  ScriptedTap tap({});
  tap.done();
  tap.resume(NothingCame{});
  EXPECT_EQ(tap.done(), "send 6, end timeout");
}

TEST(TapProtocolEnd, AnErrorEndsTheSessionWithItsText) {
  ScriptedTap tap({});
  tap.send(rpcap::encode_error(rpcap::ErrorCode::kAuthenticationFailed, "wrong\npassword"));
  ASSERT_TRUE(tap.end());
  EXPECT_EQ(tap.end()->kind, TapEnd::kRefused);
  EXPECT_EQ(tap.end()->text, "the tap says: wrong password");
}

TEST(TapProtocolEnd, TheTapMayCloseAtAnyTime) {
  const rpcap::Bytes close = empty_message(MessageType::kClose);
  EXPECT_EQ(end_after(TapPhase::kOpening, close), "end closed");
  EXPECT_EQ(end_after(TapPhase::kStarting, close), "shut, end closed");
  // What it has sent before is under way.
  EXPECT_EQ(end_after(TapPhase::kCapturing, close), "settle, shut, end closed");
  EXPECT_EQ(end_after(TapPhase::kEnding, close), "settle, shut, end closed");
}

TEST(TapProtocolEnd, WhatWasNotAskedEndsTheSession) {
  for (const auto& message :
       {empty_message(MessageType::kUpdateFilterReply), empty_message(MessageType::kAuthRequest),
        empty_message(MessageType::kPacket), empty_message(static_cast<MessageType>(200)),
        rpcap::encode_stats({})}) {
    EXPECT_EQ(end_after(TapPhase::kOpening, message), "send 6, end protocol");
    EXPECT_EQ(end_after(TapPhase::kCapturing, message), "send 6, settle, shut, end protocol");
  }
}

TEST(TapProtocolEnd, AnotherVersionEndsTheSession) {
  rpcap::Bytes message = empty_message(MessageType::kAuthReply);
  message[0] = std::byte{1};
  ScriptedTap tap({});
  tap.send(message);
  ASSERT_TRUE(tap.end());
  EXPECT_EQ(tap.end()->kind, TapEnd::kProtocol);
}

TEST(TapProtocolEnd, NoMessageIsReadThatIsLongerThanItCanBe) {
  ScriptedTap login({});
  login.announce(empty_message(MessageType::kAuthReply), 0xffffffff);
  ASSERT_TRUE(login.end());
  EXPECT_THAT(login.end()->text, HasSubstr("4294967295 bytes"));
  ScriptedTap interfaces({});
  interfaces.send(empty_message(MessageType::kAuthReply));
  interfaces.announce(list({kEth0}), TapProtocol::kMostPayload + 1);
  ASSERT_TRUE(interfaces.end());
  EXPECT_EQ(interfaces.end()->kind, TapEnd::kProtocol);
  ScriptedTap error({});
  error.announce(rpcap::encode_error(rpcap::ErrorCode::kOpen, "no"), 100'000);
  ASSERT_TRUE(error.end());
  EXPECT_EQ(error.end()->kind, TapEnd::kProtocol);
}

TEST(TapProtocolEnd, RepliesThatDoNotFitTheirContentEndTheSession) {
  EXPECT_EQ(end_after(TapPhase::kStarting, empty_message(MessageType::kStartCaptureReply)),
            "send 6, shut, end protocol");
  const auto end_after_count = [](std::uint16_t interfaces) {
    ScriptedTap tap({});
    tap.send(empty_message(MessageType::kAuthReply));
    tap.done();
    tap.send(rpcap::encode_empty(MessageType::kFindAllInterfacesReply, interfaces));
    return tap.done();
  };
  EXPECT_EQ(end_after_count(0), "send 6, end unsuitable") << "no interface at all";
  EXPECT_EQ(end_after_count(3), "send 6, end protocol");
  EXPECT_EQ(end_after_count(0xffff), "send 6, end protocol");
}

}  // namespace
}  // namespace sidetap::collector
