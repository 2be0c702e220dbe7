// The sensor's side of a session: what a good tap is asked, and which of its interfaces is opened.
#include "sidecar/collector/tap_protocol.h"

#include <gtest/gtest.h>

#include "tests/unit/sidecar_collector/good_tap.h"

namespace sidetap::collector {
namespace {

using rpcap::MessageType;
using std::chrono::milliseconds;

const rpcap::Interface kLoopback = interface_with("lo", "", {net::IpAddress::v4(0x7f000001)});
const rpcap::Interface kNet1 =
    interface_with("net1", "shop/cart", {net::IpAddress::v4(0xc0a80007)});

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

}  // namespace
}  // namespace sidetap::collector
