#include "webhook/page/page_json.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/webhook_page/page_view.h"

namespace sidetap::webhook::page {
namespace {

using nlohmann::json;

class PageJson : public testing::Test {
 protected:
  json overview(const coverage::Summary* coverage = nullptr) const {
    return json::parse(overview_json(taps_.view(), coverage, second(20)));
  }
  /// The rows of /api/taps as objects.
  json rows() const {
    const json answer = json::parse(taps_json(taps_.view(), second(20)));
    json objects = json::array();
    for (const json& row : answer.at("rows")) {
      json object;
      for (std::size_t i = 0; i < row.size(); ++i) {
        object[answer.at("columns").at(i).get<std::string>()] = row.at(i);
      }
      objects.push_back(std::move(object));
    }
    return objects;
  }

  PageView taps_;
};

TEST_F(PageJson, AnEmptyRegistryHasAnOverview) {
  const json answer = overview();
  EXPECT_EQ(answer.at("taps").at("all"), 0);
  EXPECT_EQ(answer.at("generation"), 7);
  EXPECT_TRUE(answer.at("coverage").is_null());
  EXPECT_TRUE(answer.at("attention").empty());
}

TEST_F(PageJson, TapsCountByTheirStanding) {
  taps_.connect("web", true);
  taps_.connect("db", false);
  taps_.inventory.ended(taps_.connect("lost", true), second(5));
  taps_.inventory.ended(taps_.connect("done", false), second(5));
  const json taps = overview().at("taps");
  EXPECT_EQ(taps.at("all"), 4);
  EXPECT_EQ(taps.at("forwarding"), 1);
  EXPECT_EQ(taps.at("paused"), 0);
  EXPECT_EQ(taps.at("no-sensor"), 1);
  EXPECT_EQ(taps.at("gone"), 1);
  EXPECT_EQ(taps.at("ended"), 1);
}

TEST_F(PageJson, ATapThatFollowsAnOrderToPauseIsPaused) {
  const auto connection = taps_.connect("web", true);
  taps_.inventory.ordered(connection, {.generation = PageView::kGeneration, .paused = true});
  taps_.tell(connection, PageView::report());
  EXPECT_EQ(overview().at("taps").at("paused"), 1);
  EXPECT_EQ(rows().at(0).at("issues"), "paused");
}

TEST_F(PageJson, RatesAndLossesAreTheSumsOfTheTaps) {
  auto report = PageView::report();
  report.lost = {{"kernel_ring", 5}, {"no_session", 20}, {"queue", 0}};
  taps_.tell(taps_.connect("web", true), report);
  taps_.tell(taps_.connect("cart", true), report);
  const json answer = overview();
  EXPECT_EQ(answer.at("rates").at("seen_packets"), 200);
  EXPECT_EQ(answer.at("rates").at("forwarded_bytes"), 4'000);
  EXPECT_EQ(answer.at("lost"), json::parse(R"([{"cause":"no_session","packets":40},
                                               {"cause":"kernel_ring","packets":10}])"));
  EXPECT_EQ(answer.at("recently_lost"), 50);
}

TEST_F(PageJson, SensorsHaveTheNumberOfTapsByState) {
  taps_.tell(taps_.connect("web", true), PageView::report());
  taps_.tell(taps_.connect("db", false), PageView::report("10.0.0.9:2002", "dialling", "refused"));
  EXPECT_EQ(overview().at("sensors"),
            json::parse(R"([{"sensor":"10.0.0.9:2002","taps":2,"capturing":1,
                             "states":{"capturing":1,"dialling":1},"reason":"refused"}])"));
}

TEST_F(PageJson, ATapThatHasEndedDoesNotCountForRatesAndSensors) {
  const auto connection = taps_.connect("web", true);
  taps_.tell(connection, PageView::report());
  taps_.inventory.ended(connection, second(20));
  const json answer = overview();
  EXPECT_EQ(answer.at("rates").at("seen_packets"), 0);
  EXPECT_TRUE(answer.at("sensors").empty());
  EXPECT_EQ(rows().at(0).at("seen_packets"), 0);
}

TEST_F(PageJson, ARowSaysWhatATapDoes) {
  auto report = PageView::report();
  report.profile = "quiet";
  report.lost = {{"kernel_ring", 5}};
  taps_.tell(taps_.connect("web", true), report);
  const json row = rows().at(0);
  EXPECT_EQ(row.at("namespace"), "shop");
  EXPECT_EQ(row.at("pod"), "web");
  EXPECT_EQ(row.at("node"), "node-1");
  EXPECT_EQ(row.at("standing"), "forwarding");
  EXPECT_EQ(row.at("sessions"), "1 capturing");
  EXPECT_EQ(row.at("seen_packets"), 100);
  EXPECT_EQ(row.at("lost"), 5);
  EXPECT_EQ(row.at("profile"), "quiet");
  EXPECT_EQ(row.at("since"), second(0).time_since_epoch().count());
  EXPECT_EQ(row.at("issues"), "losing");
}

TEST_F(PageJson, ATapWithoutAReportHasARow) {
  taps_.connect("web", true);
  const json row = rows().at(0);
  EXPECT_EQ(row.size(), kTapColumns.size());
  EXPECT_EQ(row.at("sessions"), "");
  EXPECT_EQ(row.at("issues"), "unreported");
}

TEST_F(PageJson, OneTapComesWithItsHistory) {
  taps_.tell(taps_.connect("web", true), PageView::report());
  const auto text = tap_json(taps_.view(), {"shop", "web"}, second(20));
  ASSERT_TRUE(text);
  const json tap = json::parse(*text);
  EXPECT_EQ(tap.at("addresses"), json::array({"10.0.0.1"}));
  EXPECT_EQ(tap.at("sensors").at(0).at("state"), "capturing");
  EXPECT_EQ(tap.at("counts").at("forwarded_bytes"), 20'000);
  EXPECT_TRUE(tap.at("ended").is_null());
  EXPECT_EQ(tap.at("history").at("seen"), json::array({0, 1'000}));
  EXPECT_EQ(tap.at("history").at("at").at(1), second(20).time_since_epoch().count());
}

TEST_F(PageJson, OneTapSaysWhichMeshItFollows) {
  auto report = PageView::report();
  taps_.tell(taps_.connect("plain", true), report);
  report.mesh = sidetap::registry::MeshReport{.kind = "istio", .read = 9, .legs = 8, .covered = 5};
  taps_.tell(taps_.connect("web", true), report);
  const auto plain = json::parse(*tap_json(taps_.view(), {"shop", "plain"}, second(20)));
  EXPECT_FALSE(plain.contains("mesh"));
  const auto web = json::parse(*tap_json(taps_.view(), {"shop", "web"}, second(20)));
  EXPECT_EQ(web.at("mesh"), json::parse(R"({"kind":"istio","read":9,"legs":8,"covered":5})"));
}

TEST_F(PageJson, AnUnknownTapHasNoAnswer) {
  taps_.connect("web", true);
  EXPECT_FALSE(tap_json(taps_.view(), {"shop", "other"}, second(20)));
}

TEST_F(PageJson, HostileTextsStayTexts) {
  const std::string hostile = "\"},{\"</script><b>\\\n\x01";
  auto report = PageView::report(hostile, hostile, hostile);
  report.release = report.profile = hostile;
  report.interfaces = {{hostile, false}};
  report.lost = {{hostile, 1}};
  taps_.tell(taps_.connect(hostile, true, hostile), report);
  EXPECT_EQ(overview().at("sensors").at(0).at("sensor"), hostile);
  EXPECT_EQ(rows().at(0).at("pod"), hostile);
  const auto tap = tap_json(taps_.view(), {hostile, hostile}, second(20));
  ASSERT_TRUE(tap);
  EXPECT_EQ(json::parse(*tap).at("lost").at(0).at("cause"), hostile);
  EXPECT_EQ(json::parse(flows_json(taps_.view())).at("edges").at(0).at("namespace"), hostile);
}

TEST_F(PageJson, EdgesAddUpByNamespaceAndSensor) {
  auto two = PageView::report();
  two.sensors = {
      {"a:2002", "capturing", ""}, {"b:2002", "capturing", ""}, {"c:2002", "dialling", "x"}};
  taps_.tell(taps_.connect("web", true), two);
  taps_.tell(taps_.connect("cart", true), PageView::report("a:2002"));
  EXPECT_EQ(
      json::parse(flows_json(taps_.view())).at("edges"),
      json::parse(R"([{"namespace":"shop","sensor":"a:2002","taps":2,"capturing":2,"bytes":3000},
                            {"namespace":"shop","sensor":"b:2002","taps":1,"capturing":1,"bytes":1000},
                            {"namespace":"shop","sensor":"c:2002","taps":1,"capturing":0,"bytes":0}])"));
}

registry::ServiceFacts service(const std::string& name, std::uint32_t cluster_ip) {
  registry::ServiceFacts facts;
  facts.name = name;
  facts.addresses = {net::IpAddress::v4(0x0a600000U + cluster_ip)};
  return facts;
}
registry::SliceFacts slice_of(const std::string& name, const std::vector<std::uint32_t>& backends) {
  registry::SliceFacts facts;
  facts.name = name + "-1";
  facts.service = name;
  facts.v4 = true;
  for (const std::uint32_t backend : backends)
    facts.endpoints.push_back({net::IpAddress::v4(0x0a000000U + backend)});
  return facts;
}

TEST_F(PageJson, ServicesAreListedByKindOfBackend) {
  registry::ServiceTable table;
  for (std::uint32_t i = 1;
       const char* name : {"shop/all", "shop/none", "shop/some", "shop/without"})
    table.set(service(name, i++));
  table.set(slice_of("shop/all", {1}));
  table.set(slice_of("shop/none", {3}));
  table.set(slice_of("shop/some", {1, 4}));
  table.taps_changed({{net::IpAddress::v4(0x0a000001U)}, {}});
  taps_.services = &table;
  const json answer = json::parse(services_json(taps_.view()));
  EXPECT_EQ(answer.at("watched"), true);
  EXPECT_EQ(answer.at("numbers"), json::parse(R"({"tapped":1,"partly":1,"untapped":1,"none":1})"));
  ASSERT_EQ(answer.at("listed").size(), 4U);
  EXPECT_EQ(answer.at("listed").at(0),
            json::parse(R"({"service":"shop/some","family":"IPv4","kind":"partly","tapped":1,
                            "backends":2})"));
  EXPECT_EQ(answer.at("listed").at(1).at("kind"), "untapped");
  EXPECT_EQ(answer.at("listed").at(2).at("kind"), "tapped");
  EXPECT_EQ(answer.at("listed").at(3).at("kind"), "none");
}

TEST_F(PageJson, ServicesThatAreNotWatchedAreNotCounted) {
  EXPECT_EQ(json::parse(services_json(taps_.view())).at("watched"), false);
}

TEST_F(PageJson, CoverageNamesPodsAndWhatToDo) {
  coverage::Summary summary;
  summary.tapped = 3;
  summary.untapped = 2;
  summary.by_cause.at(static_cast<std::size_t>(coverage::Cause::kOlder)) = 2;
  summary.listed = {{"shop", "old", "Deployment/old", coverage::Cause::kOlder, "<b>"}};
  const json answer = json::parse(coverage_json(&summary));
  EXPECT_EQ(answer.at("watched"), true);
  ASSERT_EQ(answer.at("causes").size(), 1U);
  EXPECT_EQ(answer.at("causes").at(0).at("cause"), "older");
  EXPECT_EQ(answer.at("causes").at(0).at("pods"), 2);
  EXPECT_NE(answer.at("causes").at(0).at("remedy"), "");
  EXPECT_EQ(answer.at("listed").at(0).at("detail"), "<b>");
  EXPECT_EQ(answer.at("left_out"), 1);
  EXPECT_EQ(overview(&summary).at("coverage"), json::parse(R"({"tapped":3,"untapped":2})"));
  EXPECT_EQ(json::parse(coverage_json(nullptr)).at("watched"), false);
}

}  // namespace
}  // namespace sidetap::webhook::page
