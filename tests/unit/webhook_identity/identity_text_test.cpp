#include "webhook/identity/identity_text.h"

#include "tests/unit/webhook_identity/ledger_fixture.h"

namespace sidetap::webhook::identity {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::HasSubstr;

/// 2026-01-02T03:04:05.678Z
const Time kThen{milliseconds(1'767'323'045'678)};

Tenure tenure_of(const Pod& who, const char* address, std::optional<Time> to = std::nullopt) {
  return {ip(address), std::make_shared<const Pod>(who), kThen, to};
}
const Pod kWeb{"shop", "web-1", "u-1", "n1"};

TEST(IdentityText, ATimeIsRfc3339InUtcWithMilliseconds) {
  EXPECT_EQ(to_text(kThen), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(to_text(Time(milliseconds(0))), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_text(Time(milliseconds(-1))), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(to_text(Time(milliseconds(1'709'208'000'007))), "2024-02-29T12:00:00.007Z");
}

TEST(IdentityText, ATimeIsReadInEveryFormOfRfc3339) {
  for (const char* text :
       {"2026-01-02T03:04:05.678Z", "2026-01-02t03:04:05.678z", "2026-01-02T03:04:05.678999999Z",
        "2026-01-02T04:34:05.678+01:30", "2026-01-01T22:04:05.678-05:00"}) {
    const auto time = parse_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(*time, kThen) << text;
  }
  EXPECT_EQ(parse_time("2026-01-02T03:04:05Z").value(), kThen - milliseconds(678));
  EXPECT_EQ(parse_time("2026-01-02T03:04:05.6Z").value(), kThen - milliseconds(78));
  EXPECT_EQ(parse_time(to_text(kThen + hours(100'000))).value(), kThen + hours(100'000));
}

TEST(IdentityText, WhatIsNoTimeIsRefusedWithWhatIsAccepted) {
  for (const char* text :
       {"", "now", "1767323045", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z",
        "2026-13-02T03:04:05Z", "2026-02-30T03:04:05Z", "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:00Z", "2026-01-02T03:04:60Z", "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:05ZZ", "2026-01-02T03:04:05+1:00",
        "2026-01-02T03:04:05+0100", "26-01-02T03:04:05Z", "-026-01-02T03:04:05Z"}) {
    const auto time = parse_time(text);
    ASSERT_FALSE(time) << text;
    EXPECT_THAT(time.error().text, HasSubstr("2026-01-02T03:04:05.678Z"));
  }
}

TEST(IdentityText, ATenureIsOneObjectWithItsMembersInOrder) {
  EXPECT_EQ(line_of(object_of(tenure_of(kWeb, "10.0.0.5"))),
            R"({"ip":["10.0.0.5"],"namespace":"shop","pod":"web-1","uid":"u-1","node":"n1",)"
            R"("from":"2026-01-02T03:04:05.678Z","to":null})");
  EXPECT_EQ(line_of(object_of(
                tenure_of({"shop", "web-1", "u-1", ""}, "fd00::5", kThen + milliseconds(1)))),
            R"({"ip":["fd00::5"],"namespace":"shop","pod":"web-1","uid":"u-1","node":null,)"
            R"("from":"2026-01-02T03:04:05.678Z","to":"2026-01-02T03:04:05.679Z"})");
}

TEST(IdentityText, ATapIsOneObjectWithAllItsAddresses) {
  Tap tap{std::make_shared<const Pod>(kWeb), {}};
  EXPECT_EQ(line_of(object_of(tap)),
            R"({"ip":[],"namespace":"shop","pod":"web-1","uid":"u-1","node":"n1",)"
            R"("from":null,"to":null})");
  tap.tenures = {tenure_of(kWeb, "10.0.0.5"), tenure_of(kWeb, "fd00::5")};
  tap.tenures[0].from += hours(1);
  EXPECT_EQ(line_of(object_of(tap)),
            R"({"ip":["10.0.0.5","fd00::5"],"namespace":"shop","pod":"web-1","uid":"u-1",)"
            R"("node":"n1","from":"2026-01-02T03:04:05.678Z","to":null})");
}

TEST(IdentityText, BytesThatAreNoUtf8DoNotSpoilALine) {
  EXPECT_THAT(line_of(object_of(tenure_of({"shop", "we\xff\n", "u-1", "n1"}, "10.0.0.5"))),
              HasSubstr("\"pod\":\"we\xef\xbf\xbd\\n\""));
}

TEST(IdentityText, LinesOfAFileHaveOneAddressEachAsAString) {
  EXPECT_EQ(json_lines({}), "");
  EXPECT_EQ(json_lines({tenure_of(kWeb, "10.0.0.5", kThen), tenure_of(kWeb, "fd00::5")}),
            R"({"ip":"10.0.0.5","namespace":"shop","pod":"web-1","uid":"u-1","node":"n1",)"
            R"("from":"2026-01-02T03:04:05.678Z","to":"2026-01-02T03:04:05.678Z"})"
            "\n"
            R"({"ip":"fd00::5","namespace":"shop","pod":"web-1","uid":"u-1","node":"n1",)"
            R"("from":"2026-01-02T03:04:05.678Z","to":null})"
            "\n");
}

TEST(IdentityText, ZeeksTableHasTheHoldersOfThisMoment) {
  EXPECT_EQ(zeek_table({}), "#fields\tip\tpod\tnamespace\tuid\tnode\n");
  EXPECT_EQ(zeek_table({tenure_of(kWeb, "10.0.0.5", kThen), tenure_of(kWeb, "fd00::5"),
                        tenure_of({"a\tb", "-", "c\\d\n", ""}, "10.0.0.6")}),
            "#fields\tip\tpod\tnamespace\tuid\tnode\n"
            "fd00::5\tweb-1\tshop\tu-1\tn1\n"
            "10.0.0.6\t\\x2d\ta\\x09b\tc\\x5cd\\x0a\t-\n");
}

}  // namespace
}  // namespace sidetap::webhook::identity
