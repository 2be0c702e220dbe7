// Endpoints that come and go: as long as one can get or answer packets through its Service it
// counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webhook_registry/service_table_fixture.h"

namespace sidetap::webhook::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ScaleDownTest : public ServiceTableTest {
 protected:
  void SetUp() override {
    ServiceTableTest::SetUp();
    table_.set({"shop/web", {vip(1)}});
    set({{pod(1)}, {pod(2)}});
    tap({pod(1), pod(2)});
    EXPECT_THAT(published(), ElementsAre(vip(1)));
  }
  void set(Endpoints endpoints) {
    table_.set(slice("shop/web-1", "shop/web", std::move(endpoints)));
  }
};

TEST_F(ScaleDownTest, ATerminatingEndpointWhosePodHasEndedCountsNoMore) {
  set({{pod(1)}, terminating(2)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  table_.ended({pod(2)});
  tap({}, {pod(2)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  set({{pod(1)}});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
}

TEST_F(ScaleDownTest, ThePodMayHaveEndedBeforeTheApiServerSaysThatItTerminates) {
  table_.ended({pod(2)});
  tap({}, {pod(2)});
  EXPECT_THAT(published(), IsEmpty()) << "a tap that starts anew looks the same";
  set({{pod(1)}, terminating(2)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
}

TEST_F(ScaleDownTest, WhileTheApplicationMayStillAnswerItCounts) {
  set({{pod(1)}, terminating(2)});
  tap({}, {pod(2)});
  EXPECT_THAT(published(), IsEmpty()) << "the tap has gone, and nobody says that the pod has ended";
}

TEST_F(ScaleDownTest, AnUntappedEndpointThatTerminatesCountsAsLongAsItIsThere) {
  set({{pod(1)}, {pod(3)}});
  EXPECT_THAT(published(), IsEmpty());
  set({{pod(1)}, terminating(3)});
  EXPECT_THAT(published(), IsEmpty());
  set({{pod(1)}, terminating(4)});
  EXPECT_THAT(published(), IsEmpty()) << "it may have been ready before it was seen";
  set({{pod(1)}});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
}

TEST_F(ScaleDownTest, WithoutAReadyEndpointTheProxiesTurnToThoseThatTerminate) {
  set({terminating(1), terminating(2)});
  table_.ended({pod(2)});
  tap({}, {pod(2)});
  EXPECT_THAT(published(), IsEmpty());
  EXPECT_EQ(table_.counts().mixed, 1U);
}

TEST_F(ScaleDownTest, AnAddressThatIsUsedAnewCountsAnew) {
  set({{pod(1)}, terminating(2)});
  table_.ended({pod(2)});
  tap({}, {pod(2)});
  set({{pod(1)}, {pod(2)}});
  EXPECT_THAT(published(), IsEmpty()) << "another pod, without a tap";
  set({{pod(1)}, terminating(2)});
  EXPECT_THAT(published(), IsEmpty()) << "of which nobody has said that it has ended";
  set({{pod(1)}});
  set({{pod(1)}, terminating(2)});
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(ScaleDownTest, OfEveryServiceThatThePodIsIn) {
  table_.set({"shop/api", {vip(2)}});
  table_.set(slice("shop/api-1", "shop/api", Endpoints{{pod(1)}, terminating(2)}));
  set({{pod(1)}, terminating(2)});
  table_.ended({pod(2)});
  tap({}, {pod(2)});
  EXPECT_THAT(published(), ElementsAre(vip(1), vip(2)));
  tap({pod(2)});
  tap({}, {pod(2)});
  EXPECT_THAT(published(), IsEmpty()) << "a tap has spoken for this address since";
}

TEST_F(ScaleDownTest, AnEndpointThatWasNeverReadyDoesNotCount) {
  set({{pod(1)}, {pod(2)}, unready(3)});
  EXPECT_THAT(published(), ElementsAre(vip(1))) << "it starts, and its tap will be there";
  set({{pod(1)}, {pod(2)}, terminating(3)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  set({{pod(1)}, {pod(2)}, {pod(3)}});
  EXPECT_THAT(published(), IsEmpty());
  set({{pod(1)}, {pod(2)}, unready(3)});
  EXPECT_THAT(published(), IsEmpty()) << "connections outlive readiness";
  table_.set(slice("shop/web-2", "shop/web", Endpoints{unready(3)}));
  set({{pod(1)}, {pod(2)}});
  EXPECT_THAT(published(), IsEmpty()) << "it moves to another slice";
}

TEST_F(ScaleDownTest, WhatAListShowsMayHaveBeenReadySinceTheOneBefore) {
  set({{pod(1)}, {pod(2)}, unready(3)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  table_.slices_begin();
  set({{pod(1)}, {pod(2)}, unready(3)});
  table_.slices_end();
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(ScaleDownTest, AServiceWithNobodyReadyYetHasNoBackends) {
  table_.set({"shop/new", {vip(2)}});
  table_.set(slice("shop/new-1", "shop/new", Endpoints{unready(1)}));
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  EXPECT_EQ(table_.counts().none, 1U);
}

}  // namespace
}  // namespace sidetap::webhook::registry
