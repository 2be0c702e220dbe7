// What the survey of all taps keeps, whatever they tell.
#include "webhook/page/survey.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/webhook_page/page_view.h"

namespace sidetap::webhook::page {
namespace {

TEST(Survey, CountsNamesBeyondTheMostAsOthers) {
  constexpr std::size_t kMore = 7;
  PageView taps;
  for (std::size_t i = 0; i < kMostGroups + kMore; ++i) {
    const std::string name = "n" + std::to_string(i);
    auto report = PageView::report("10.0.0.9:2002", name);
    report.release = report.profile = name;
    report.lost = {{name, 2}};
    taps.tell(taps.connect("web-" + name, true), report);
  }
  const Survey survey = survey_of(taps.view(), second(20));
  EXPECT_EQ(survey.taps, kMostGroups + kMore);
  const Groups& states = survey.sensors.at("10.0.0.9:2002").states;
  for (const Groups* const groups : {&survey.releases, &survey.profiles, &states}) {
    EXPECT_EQ(groups->size(), kMostGroups + 1);
    EXPECT_EQ(groups->find(kOthers)->second, kMore);
  }
  EXPECT_EQ(survey.lost.size(), kMostGroups + 1);
  EXPECT_EQ(survey.lost.find(kOthers)->second, 2 * kMore);
  EXPECT_EQ(survey.recently_lost, 2 * (kMostGroups + kMore)) << "nothing is left out of the sum";
}

TEST(Survey, GoesOnCountingNamesThatItHas) {
  PageView taps;
  for (std::size_t i = 0; i < 2 * kMostGroups; ++i) {
    auto report = PageView::report();
    report.release = i % 2 == 0 ? "1.0.0" : "odd-" + std::to_string(i);
    taps.tell(taps.connect("web-" + std::to_string(i), true), report);
  }
  const Survey survey = survey_of(taps.view(), second(20));
  EXPECT_EQ(survey.releases.at("1.0.0"), kMostGroups);
}

}  // namespace
}  // namespace sidetap::webhook::page
