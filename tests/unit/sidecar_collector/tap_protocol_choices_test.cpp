// The sensor's side of a session with what the collector never chooses, but the reference sensor:
// taps that it has dialled, any link layer, a filter that depends on it, and no word to a tap that
// fails.
#include <gtest/gtest.h>

#include "sidecar/collector/tap_protocol.h"
#include "tests/unit/sidecar_collector/scripted_tap.h"

namespace sidetap::collector {
namespace {

using rpcap::MessageType;

/// Answers as a good tap does, until it is asked to start the capture.
void bring_to_start(ScriptedTap& tap, std::int32_t link_type = 1) {
  const rpcap::Interface eth0{.name = "eth0",
                              .description = "shop/cart",
                              .flags = 0,
                              .addresses = {{net::IpAddress::v4(0x0af40107), {}, {}, {}}}};
  tap.send(rpcap::encode_empty(MessageType::kAuthReply));
  tap.send(rpcap::encode_interfaces({&eth0, 1}, rpcap::Ipv6Family::kLinux));
  tap.send(rpcap::encode_open_reply({.link_type = link_type, .time_zone_offset = 0}));
}

void start(ScriptedTap& tap, std::uint16_t port) {
  tap.done();
  tap.send(rpcap::encode_start_reply({.buffer_size = 1, .data_port = port}));
}

TEST(TapProtocolChoices, InPassiveModeTheSensorOpensTheStream) {
  ScriptedTap tap({.datagram = false, .passive = true});
  bring_to_start(tap);
  const auto request = rpcap::decode_start_request(tap.last_payload());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->flags, 0);
  start(tap, 40'000);
  EXPECT_EQ(tap.done(), "dial 40000");
  EXPECT_EQ(tap.phase(), TapPhase::kCapturing);
}

TEST(TapProtocolChoices, InPassiveModeATapWithoutAPortForTheStreamIsLeft) {
  ScriptedTap tap({.datagram = false, .passive = true});
  bring_to_start(tap);
  start(tap, 0);
  EXPECT_EQ(tap.done(), "send 6, shut, end protocol");
}

TEST(TapProtocolChoices, InPassiveModeDatagramsComeAsInActiveMode) {
  ScriptedTap tap({.passive = true});
  bring_to_start(tap);
  const auto request = rpcap::decode_start_request(tap.last_payload());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->flags, rpcap::kStartDatagram);
  EXPECT_EQ(request->data_port, ScriptedTap::kDataPort);
  start(tap, 0);
  EXPECT_EQ(tap.done(), "");
  EXPECT_EQ(tap.phase(), TapPhase::kCapturing);
}

TEST(TapProtocolChoices, WhereTheTapDialsItsPortMeansNothing) {
  ScriptedTap tap({.datagram = false});
  bring_to_start(tap);
  start(tap, 40'000);
  EXPECT_EQ(tap.done(), "take");
}

TEST(TapProtocolChoices, EveryLinkLayerIsTakenWhereNoneIsNamed) {
  ScriptedTap tap({.link_type = std::nullopt, .sampling = {rpcap::SamplingMethod::kOneInN, 5}});
  bring_to_start(tap, 101);
  tap.done();
  tap.send(rpcap::encode_empty(MessageType::kSetSamplingReply));
  EXPECT_EQ(tap.done(), "open, send 4");
  EXPECT_EQ(tap.link_type(), 101);
}

TEST(TapProtocolChoices, TheFilterMayBeChosenWhenTheLinkTypeIsKnown) {
  const rpcap::Filter chosen = {{0x30, 0, 0, 0}, {6, 0, 0, 96}};
  ScriptedTap tap({.filter = {{0x28, 0, 0, 12}, {6, 0, 0, 96}}});
  tap.choose_filter(chosen);
  bring_to_start(tap);
  const auto request = rpcap::decode_start_request(tap.last_payload());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->filter, chosen);
}

TEST(TapProtocolChoices, ATapThatFailsMayBeLeftWithoutAWord) {
  const rpcap::Bytes error = rpcap::encode_error(rpcap::ErrorCode::kStartCapture, "no");
  ScriptedTap before({.close_on_failure = false});
  bring_to_start(before);
  before.done();
  before.send(error);
  EXPECT_EQ(before.done(), "shut, end refused");
  ScriptedTap during({.close_on_failure = false});
  bring_to_start(during);
  start(during, 0);
  during.done();
  during.send(error);
  EXPECT_EQ(during.done(), "settle, shut, end refused");
}

TEST(TapProtocolChoices, AnEndInGoodOrderIsToldInAnyCase) {
  ScriptedTap tap({.close_on_failure = false});
  bring_to_start(tap);
  start(tap, 0);
  tap.resume(StopRequested{});
  tap.send(rpcap::encode_stats({}));
  tap.done();
  tap.send(rpcap::encode_empty(MessageType::kEndCaptureReply));
  EXPECT_EQ(tap.done(), "settle, send 6, shut, end stopped");
}

}  // namespace
}  // namespace sidetap::collector
