// Two pods with a tap each, and the packets that they send each other directly.
#pragma once

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {

class Ownership : public testing::Test {
 protected:
  /// The two taps of a direct packet: exactly one of them owns it. Returns whether it is `one`.
  bool one_owns(const test::PacketBuilder& p) {
    const bool a = one.owns(p);
    const bool b = two.owns(p);
    EXPECT_NE(a, b) << rule_name(one.rule(p)) << " and " << rule_name(two.rule(p));
    return a;
  }
  static test::PacketBuilder there() { return test::packet().from("10.0.0.1").to("10.0.0.2"); }
  static test::PacketBuilder back() { return test::packet().from("10.0.0.2").to("10.0.0.1"); }
  static test::PacketBuilder there6() { return test::packet().from("fd00::1").to("fd00::2"); }
  static test::PacketBuilder back6() { return test::packet().from("fd00::2").to("fd00::1"); }

  test::Pod one{1};
  test::Pod two{2};
};

}  // namespace sidetap::ownership
