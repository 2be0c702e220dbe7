#include "webhook/page/attention.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webhook_page/page_view.h"

namespace sidetap::webhook::page {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class AttentionTest : public testing::Test {
 protected:
  std::vector<std::string> texts(std::int64_t now = 20,
                                 const coverage::Summary* coverage = nullptr) const {
    std::vector<std::string> texts;
    for (const Attention& item : attention_of(survey_of(taps_.view(), second(now)), coverage)) {
      texts.push_back(std::string(name_of(item.severity)) + " " + item.text + " " + item.link);
    }
    return texts;
  }
  PageView taps_;
};

TEST_F(AttentionTest, NothingIsSaidWhereAllForward) {
  taps_.tell(taps_.connect("web", true), PageView::report());
  EXPECT_THAT(texts(), IsEmpty());
}

TEST_F(AttentionTest, ATapThatHasGoneIsNamed) {
  taps_.inventory.ended(taps_.connect("web", true), second(20));
  EXPECT_THAT(texts(), ElementsAre("error 1 tap disconnected unexpectedly: shop/web. "
                                   "#/taps?issue=gone"));
}

TEST_F(AttentionTest, ATapThatHasEndedInOrderIsNot) {
  taps_.inventory.ended(taps_.connect("web", false), second(20));
  EXPECT_THAT(texts(), IsEmpty());
}

TEST_F(AttentionTest, OnlyTheFirstOfManyAreNamed) {
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    taps_.inventory.ended(taps_.connect(name, true), second(20));
  }
  EXPECT_THAT(texts(), ElementsAre("error 5 taps disconnected unexpectedly: shop/a, shop/b, shop/c "
                                   "and 2 more. #/taps?issue=gone"));
}

TEST_F(AttentionTest, TheWorstComesFirst) {
  auto losing = PageView::report();
  losing.lost = {{"kernel_ring", 1}};
  losing.generation = 6;
  taps_.tell(taps_.connect("cart", true), losing);
  taps_.tell(taps_.connect("db", false), PageView::report("10.0.0.10:2002", "dialling", "refused"));
  coverage::Summary coverage;
  coverage.untapped = 2;
  EXPECT_THAT(
      texts(20, &coverage),
      ElementsAre("error No tap has a session with the sensor 10.0.0.10:2002: refused. "
                  "#/forwarding",
                  "error 1 tap is connected and does not forward: shop/db. #/taps?issue=no-sensor",
                  "warning 2 running pods in the selected namespaces have no tap. #/coverage",
                  "warning 1 tap has lost packets in the last 15 minutes: shop/cart. "
                  "#/taps?issue=losing",
                  "note 1 tap still has the settings before the last change: shop/cart. "
                  "#/taps?issue=behind"));
}

TEST_F(AttentionTest, ATapThatCannotFollowIsAnError) {
  auto report = PageView::report();
  report.following = false;
  report.generation = 6;
  taps_.tell(taps_.connect("web", true), report);
  EXPECT_THAT(texts(), ElementsAre("error 1 tap cannot apply the settings of its profile: "
                                   "shop/web. #/taps?issue=not-following"));
}

TEST_F(AttentionTest, ATapThatTakesNoOrdersIsNotBehind) {
  auto report = PageView::report();
  report.generation = 0;
  taps_.tell(taps_.connect("web", true), report);
  EXPECT_THAT(texts(), IsEmpty());
}

TEST_F(AttentionTest, SilenceAndClosedInterfacesAreSeen) {
  auto report = PageView::report();
  report.interfaces.push_back({"eth1", false});
  taps_.tell(taps_.connect("web", true), report);
  EXPECT_THAT(texts(20 + 60),
              ElementsAre("error 1 tap does not capture one of its interfaces: shop/web. "
                          "#/taps?issue=not-capturing",
                          "warning 1 tap has not reported for a minute: shop/web. "
                          "#/taps?issue=silent"));
}

TEST_F(AttentionTest, UnreachedSensorsAreBounded) {
  auto report = PageView::report();
  for (int i = 0; i < 100; ++i) {
    report.sensors.push_back({"sensor-" + std::to_string(i), "waiting", ""});
  }
  taps_.tell(taps_.connect("web", true), report);
  const auto all = texts();
  ASSERT_EQ(all.size(), 6U);
  EXPECT_EQ(all.back(), "error 95 more sensors have no session with any tap. #/forwarding");
}

}  // namespace
}  // namespace sidetap::webhook::page
