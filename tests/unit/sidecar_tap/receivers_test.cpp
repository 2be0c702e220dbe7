// Who receives packets, by the options.
#include <gtest/gtest.h>

#include "sidecar/tap/interface_path.h"

namespace sidetap {
namespace {

TEST(Receivers, ASensorIsDialledAndAClientIsNot) {
  RunOptions options;
  EXPECT_FALSE(receivers_of(options).dialled);
  EXPECT_FALSE(receivers_of(options).configured);
  options.sessions.sensors.push_back({.address = {"192.0.2.1", 2003}});
  EXPECT_TRUE(receivers_of(options).dialled);
}

TEST(Receivers, ACollectorIsDialledThoughItsNameIsNotLookedUpYet) {
  RunOptions options;
  options.sessions.mode = session::SensorMode::kHash;
  EXPECT_TRUE(receivers_of(options).dialled);
}

TEST(Receivers, AReaderOfCaptureStreamsMayBeDialledOrConnect) {
  RunOptions options;
  options.output.kind = OutputKind::kPcapOverIp;
  options.output.streams.listen = net::HostPort{"", 4711};
  EXPECT_FALSE(receivers_of(options).dialled);
  EXPECT_TRUE(receivers_of(options).configured) << "what comes before it connects is kept";
  options.output.streams.receivers.push_back({"192.0.2.1", 4711});
  EXPECT_TRUE(receivers_of(options).dialled);
}

TEST(Receivers, WhatTheTapOpensItselfComesByItself) {
  for (const OutputKind kind : {OutputKind::kPcap, OutputKind::kInterface, OutputKind::kVxlan}) {
    RunOptions options;
    options.output.kind = kind;
    EXPECT_TRUE(receivers_of(options).dialled);
  }
}

}  // namespace
}  // namespace sidetap
