// The sensor's side of a session: what a good tap is asked, and what a hostile one is told.
#include "sidecar/collector/tap_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_collector/scripted_tap.h"

namespace sidetap::collector {
namespace {

using rpcap::MessageType;
using std::chrono::milliseconds;
using testing::HasSubstr;

const rpcap::Filter kNarrow = {{0x28, 0, 0, 12}, {6, 0, 0, 96}};

rpcap::Interface interface_with(std::string name, std::string description,
                                std::vector<net::IpAddress> addresses) {
  rpcap::Interface interface {
    .name = std::move(name), .description = std::move(description), .flags = 0, .addresses = {}
  };
  for (const net::IpAddress& address : addresses)
    interface.addresses.push_back({address, {}, {}, {}});
  return interface;
}
const rpcap::Interface kLoopback = interface_with("lo", "", {net::IpAddress::v4(0x7f000001)});
const rpcap::Interface kEth0 =
    interface_with("eth0", "shop/cart", {net::IpAddress::v4(0x0af40107)});
const rpcap::Interface kNet1 =
    interface_with("net1", "shop/cart", {net::IpAddress::v4(0xc0a80007)});

rpcap::Bytes empty_message(MessageType type) { return rpcap::encode_empty(type); }
rpcap::Bytes list(const std::vector<rpcap::Interface>& interfaces) {
  return rpcap::encode_interfaces(interfaces, rpcap::Ipv6Family::kLinux);
}
rpcap::Bytes opened(std::int32_t link_type = 1) {
  return rpcap::encode_open_reply({.link_type = link_type, .time_zone_offset = 0});
}

/// Answers as a good tap does, until the session has come to `phase`.
void bring_to(ScriptedTap& tap, TapPhase phase, bool stream = false) {
  tap.send(empty_message(MessageType::kAuthReply));
  tap.send(list({kEth0}));
  if (phase == TapPhase::kOpening) return;
  tap.send(opened());
  if (phase == TapPhase::kStarting) return;
  tap.send(rpcap::encode_start_reply({.buffer_size = 1, .data_port = 0}));
  ASSERT_EQ(tap.phase(), TapPhase::kCapturing) << stream;
  if (phase == TapPhase::kCapturing) return;
  tap.resume(StopRequested{});
}

/// The end of a session in which the tap sends `message` at this phase.
std::string end_after(TapPhase phase, const rpcap::Bytes& message) {
  ScriptedTap tap({});
  bring_to(tap, phase);
  tap.done();
  tap.send(message);
  return tap.done();
}

TEST(TapProtocol, AsksWhatASensorAsksInItsOrder) {
  ScriptedTap tap({});
  EXPECT_EQ(tap.done(), "send 8");
  tap.send(empty_message(MessageType::kAuthReply));
  EXPECT_EQ(tap.done(), "send 2");
  tap.send(list({kEth0}));
  EXPECT_EQ(tap.done(), "send 3");
  EXPECT_EQ(rpcap::decode_open_request(tap.last_payload()), "eth0");
  tap.send(opened());
  EXPECT_EQ(tap.done(), "open, send 4");
  EXPECT_EQ(tap.phase(), TapPhase::kStarting);
  tap.send(rpcap::encode_start_reply({.buffer_size = 1, .data_port = 0}));
  EXPECT_EQ(tap.done(), "");
  EXPECT_EQ(tap.phase(), TapPhase::kCapturing);
}

TEST(TapProtocol, LogsInWithUserAndPassword) {
  ScriptedTap tap({.user = "me", .password = "secret"});
  const auto request = rpcap::decode_auth_request(tap.last_payload());
  ASSERT_TRUE(request);
  EXPECT_EQ(*request,
            (rpcap::AuthRequest{.with_password = true, .user = "me", .password = "secret"}));
}

TEST(TapProtocol, AsksForDatagramsOnThePortThatIsOpen) {
  ScriptedTap tap({.snaplen = 1'000});
  bring_to(tap, TapPhase::kStarting);
  const auto request = rpcap::decode_start_request(tap.last_payload());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->flags, rpcap::kStartDatagram);
  EXPECT_EQ(request->data_port, ScriptedTap::kDataPort);
  EXPECT_EQ(request->snaplen, 1'000U);
  EXPECT_TRUE(request->filter.empty());
}

TEST(TapProtocol, SendsNoFilterWithoutInstructions) {
  ScriptedTap tap({});
  bring_to(tap, TapPhase::kStarting);
  // snaplen, timeout, flags, port; type of the filter; then the number of instructions.
  ASSERT_GE(tap.last_payload().size(), 20U);
  EXPECT_EQ(tap.last_payload()[19], std::byte{1}) << "rpcapd refuses an empty program";
}

TEST(TapProtocol, TakesTheStreamThatTheTapHasOpened) {
  ScriptedTap tap({.datagram = false, .filter = kNarrow});
  bring_to(tap, TapPhase::kStarting);
  const auto request = rpcap::decode_start_request(tap.last_payload());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->flags, rpcap::kStartServerOpens);
  EXPECT_EQ(request->filter, kNarrow);
  tap.done();
  tap.send(rpcap::encode_start_reply({.buffer_size = 1, .data_port = 0}));
  EXPECT_EQ(tap.done(), "take");
  EXPECT_EQ(tap.phase(), TapPhase::kCapturing);
}

TEST(TapProtocol, SetsTheSamplingBeforeTheCapture) {
  ScriptedTap tap({.sampling = {rpcap::SamplingMethod::kOneInN, 5}});
  bring_to(tap, TapPhase::kOpening);
  tap.done();
  tap.send(opened());
  EXPECT_EQ(tap.done(), "send 11");
  tap.send(empty_message(MessageType::kSetSamplingReply));
  EXPECT_EQ(tap.done(), "open, send 4");
}

TEST(TapProtocol, ChoosesThePreselectedInterfaceFirst) {
  rpcap::Interface preselected = kNet1;
  preselected.description += ";preselected";
  ScriptedTap tap({.interface_rule = {*net::Cidr::parse("10.244.0.0/16")}});
  tap.send(empty_message(MessageType::kAuthReply));
  tap.send(list({kEth0, preselected}));
  ASSERT_TRUE(tap.interface());
  EXPECT_EQ(tap.interface()->name, "net1");
  EXPECT_EQ(tap.interface()->description, "shop/cart") << "the mark is no part of the pod's name";
}

TEST(TapProtocol, ChoosesTheInterfaceThatTheRuleNames) {
  ScriptedTap tap({.interface_rule = {*net::Cidr::parse("192.168.0.0/16")}});
  tap.send(empty_message(MessageType::kAuthReply));
  tap.send(list({kEth0, kNet1}));
  ASSERT_TRUE(tap.interface());
  EXPECT_EQ(tap.interface()->name, "net1");
}

TEST(TapProtocol, WithoutARuleChoosesTheFirstInterfaceThatIsNoLoopback) {
  ScriptedTap tap({});
  tap.send(empty_message(MessageType::kAuthReply));
  tap.send(list({kLoopback, kEth0, kNet1}));
  ASSERT_TRUE(tap.interface());
  EXPECT_EQ(tap.interface()->name, "eth0");
}

TEST(TapProtocol, RefusesATapWithoutASuitableInterface) {
  ScriptedTap other({.interface_rule = {*net::Cidr::parse("172.16.0.0/12")}});
  other.send(empty_message(MessageType::kAuthReply));
  other.done();
  other.send(list({kEth0}));
  EXPECT_EQ(other.done(), "send 6, end unsuitable");

  ScriptedTap none({});
  none.send(empty_message(MessageType::kAuthReply));
  none.done();
  none.send(list({}));
  EXPECT_EQ(none.done(), "send 6, end unsuitable");
}

TEST(TapProtocol, RefusesAnotherLinkLayer) {
  EXPECT_EQ(end_after(TapPhase::kOpening, opened(101)), "send 6, end unsuitable");
}

TEST(TapProtocol, LeavesATapThatIsNotProved) {
  ScriptedTap tap({});
  tap.send(empty_message(MessageType::kAuthReply));
  tap.send(list({kEth0}));
  tap.done();
  tap.resume(TapUnproved{"the registry does not list it"});
  EXPECT_EQ(tap.done(), "send 6, end unproved");
  ASSERT_TRUE(tap.end());
  EXPECT_EQ(tap.end()->text, "the registry does not list it");
}

TEST(TapProtocol, ShowsOnlyPrintableTextsOfTheTap) {
  ScriptedTap tap({});
  tap.send(empty_message(MessageType::kAuthReply));
  tap.send(list({interface_with("eth0\n", "shop/\x1b[2Jcart", {net::IpAddress::v4(1)})}));
  ASSERT_TRUE(tap.interface());
  EXPECT_EQ(tap.interface()->name, "eth0 ");
  EXPECT_EQ(tap.interface()->description, "shop/ [2Jcart");
  EXPECT_EQ(rpcap::decode_open_request(tap.last_payload()), "eth0\n") << "as the tap calls it";
}

TEST(TapProtocol, KeepsLittleOfTextsThatNoPodHas) {
  ScriptedTap tap({});
  tap.send(empty_message(MessageType::kAuthReply));
  tap.send(list({interface_with(std::string(3'000, 'e'), "shop/\xff\xc3" + std::string(3'000, 'c'),
                                {net::IpAddress::v4(1)})}));
  ASSERT_TRUE(tap.interface());
  EXPECT_EQ(tap.interface()->name.size(), TapProtocol::kMostText);
  EXPECT_EQ(tap.interface()->description.size(), TapProtocol::kMostText);
  EXPECT_EQ(tap.interface()->description.substr(0, 8), "shop/  c") << "no broken UTF-8";
}

TEST(TapProtocol, AsksForStatisticsWhenItIsTime) {
  ScriptedTap tap({.stats_every = milliseconds(7'000)});
  bring_to(tap, TapPhase::kCapturing);
  EXPECT_EQ(tap.limit(), milliseconds(7'000));
  tap.done();
  tap.resume(NothingCame{});
  EXPECT_EQ(tap.done(), "send 9");
  EXPECT_EQ(tap.limit(), TapProtocol::kAnswerLimit);
  tap.send(rpcap::encode_stats({1, 2, 3, 4}));
  EXPECT_EQ(tap.stats(), (rpcap::Stats{1, 2, 3, 4}));
  EXPECT_EQ(tap.limit(), milliseconds(7'000));
}

TEST(TapProtocol, ChangesTheFilterOfARunningCapture) {
  ScriptedTap tap({});
  bring_to(tap, TapPhase::kCapturing);
  tap.done();
  tap.resume(FilterChanged{kNarrow});
  EXPECT_EQ(tap.done(), "send 5");
  const auto filter = rpcap::decode_update_filter(tap.last_payload());
  ASSERT_TRUE(filter);
  EXPECT_EQ(*filter, kNarrow);
  tap.send(empty_message(MessageType::kUpdateFilterReply));
  EXPECT_EQ(tap.phase(), TapPhase::kCapturing);
}

TEST(TapProtocol, AFilterThatChangesBeforeTheCaptureIsThatOfTheCapture) {
  ScriptedTap tap({});
  bring_to(tap, TapPhase::kOpening);
  tap.resume(FilterChanged{kNarrow});
  EXPECT_FALSE(tap.limit()) << "the tap still has the rest of its time to answer";
  tap.send(opened());
  const auto request = rpcap::decode_start_request(tap.last_payload());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->filter, kNarrow);
  tap.done();
  tap.send(rpcap::encode_start_reply({.buffer_size = 1, .data_port = 0}));
  EXPECT_EQ(tap.done(), "") << "and is not sent twice";
}

TEST(TapProtocol, AFilterThatChangesDuringARequestFollowsIt) {
  ScriptedTap tap({});
  bring_to(tap, TapPhase::kStarting);
  tap.done();
  tap.resume(FilterChanged{kNarrow});
  EXPECT_EQ(tap.done(), "");
  tap.send(rpcap::encode_start_reply({.buffer_size = 1, .data_port = 0}));
  EXPECT_EQ(tap.done(), "send 5");
}

TEST(TapProtocol, StopsInGoodOrder) {
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

TEST(TapProtocol, StopsAfterTheRequestAtHand) {
  ScriptedTap tap({});
  bring_to(tap, TapPhase::kCapturing);
  tap.resume(FilterChanged{kNarrow});
  tap.done();
  tap.resume(StopRequested{});
  EXPECT_EQ(tap.done(), "");
  tap.send(empty_message(MessageType::kUpdateFilterReply));
  EXPECT_EQ(tap.done(), "send 9");
}

TEST(TapProtocol, BeforeACaptureStopsAtOnce) {
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

TEST(TapProtocol, AtItsEndTheTapMayCloseTheStreamFirst) {
  ScriptedTap tap({.datagram = false});
  bring_to(tap, TapPhase::kEnding, true);
  tap.send(rpcap::encode_stats({}));
  tap.done();
  tap.resume(DataLost{"the stream ended"});
  EXPECT_EQ(tap.done(), "");
  tap.send(empty_message(MessageType::kEndCaptureReply));
  EXPECT_EQ(tap.done(), "settle, send 6, shut, end stopped");
}

TEST(TapProtocol, WithoutItsStreamACaptureIsOver) {
  ScriptedTap tap({.datagram = false});
  bring_to(tap, TapPhase::kCapturing, true);
  tap.done();
  tap.resume(DataLost{"the stream ended"});
  EXPECT_EQ(tap.done(), "");
  EXPECT_EQ(tap.limit(), TapProtocol::kFarewellLimit);
  tap.resume(NothingCame{});
  EXPECT_EQ(tap.done(), "send 6, settle, shut, end data");
  EXPECT_EQ(tap.end()->text, "the stream ended");
}

TEST(TapProtocol, ATapThatStopsEndsItsStreamFirst) {
  ScriptedTap tap({.datagram = false});
  bring_to(tap, TapPhase::kCapturing, true);
  tap.resume(DataLost{"the stream ended"});
  tap.done();
  tap.send(empty_message(MessageType::kClose));
  EXPECT_EQ(tap.done(), "settle, shut, end closed");
}

TEST(TapProtocol, AnAnswerThatWasUnderWayDoesNotBringTheStreamBack) {
  ScriptedTap tap({.datagram = false});
  bring_to(tap, TapPhase::kCapturing, true);
  tap.resume(NothingCame{});
  tap.resume(DataLost{"the stream ended"});
  tap.done();
  tap.send(rpcap::encode_stats({}));
  EXPECT_EQ(tap.done(), "send 6, settle, shut, end data");
}

TEST(TapProtocol, WithoutADataConnectionThereIsNoCapture) {
  ScriptedTap tap({});
  bring_to(tap, TapPhase::kOpening);
  tap.fail_data("no port is free");
  tap.done();
  tap.send(opened());
  EXPECT_EQ(tap.done(), "open, send 6, shut, end data");
}

TEST(TapProtocol, ATapThatDoesNotAnswerIsLeft) {
  ScriptedTap tap({});
  tap.done();
  tap.resume(NothingCame{});
  EXPECT_EQ(tap.done(), "send 6, end timeout");
}

TEST(TapProtocol, AnErrorEndsTheSessionWithItsText) {
  ScriptedTap tap({});
  tap.send(rpcap::encode_error(rpcap::ErrorCode::kAuthenticationFailed, "wrong\npassword"));
  ASSERT_TRUE(tap.end());
  EXPECT_EQ(tap.end()->kind, TapEnd::kRefused);
  EXPECT_EQ(tap.end()->text, "the tap says: wrong password");
}

TEST(TapProtocol, TheTapMayCloseAtAnyTime) {
  const rpcap::Bytes close = empty_message(MessageType::kClose);
  EXPECT_EQ(end_after(TapPhase::kOpening, close), "end closed");
  EXPECT_EQ(end_after(TapPhase::kStarting, close), "shut, end closed");
  // What it has sent before is under way.
  EXPECT_EQ(end_after(TapPhase::kCapturing, close), "settle, shut, end closed");
  EXPECT_EQ(end_after(TapPhase::kEnding, close), "settle, shut, end closed");
}

TEST(TapProtocol, WhatWasNotAskedEndsTheSession) {
  for (const auto& message :
       {empty_message(MessageType::kUpdateFilterReply), empty_message(MessageType::kAuthRequest),
        empty_message(MessageType::kPacket), empty_message(static_cast<MessageType>(200)),
        rpcap::encode_stats({})}) {
    EXPECT_EQ(end_after(TapPhase::kOpening, message), "send 6, end protocol");
    EXPECT_EQ(end_after(TapPhase::kCapturing, message), "send 6, settle, shut, end protocol");
  }
}

TEST(TapProtocol, AnotherVersionEndsTheSession) {
  rpcap::Bytes message = empty_message(MessageType::kAuthReply);
  message[0] = std::byte{1};
  ScriptedTap tap({});
  tap.send(message);
  ASSERT_TRUE(tap.end());
  EXPECT_EQ(tap.end()->kind, TapEnd::kProtocol);
}

TEST(TapProtocol, NoMessageIsReadThatIsLongerThanItCanBe) {
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

TEST(TapProtocol, RepliesThatDoNotFitTheirContentEndTheSession) {
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
