#include "webhook/page/status_text.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webhook_page/page_view.h"

namespace sidetap::webhook::page {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class StatusTextTest : public testing::Test {
 protected:
  std::string text(const StatusScope& scope = {}, const coverage::Summary* coverage = nullptr) {
    return status_text(taps_.view(), coverage, scope, second(20));
  }
  PageView taps_;
};

TEST_F(StatusTextTest, HasALineForEachTap) {
  taps_.tell(taps_.connect("web", true), PageView::report());
  taps_.connect("db", false, "data");
  EXPECT_THAT(text(), StartsWith("sidetap\t" SIDETAP_VERSION "\t7\n"));
  EXPECT_THAT(text(), HasSubstr("\ntap\tshop\tweb\tnode-1\tforwarding\t10.0.0.9:2002 capturing\t"
                                "100\t50\t0\t\t\t1.0.0\n"));
  EXPECT_THAT(text(), HasSubstr("\ntap\tdata\tdb\tnode-1\tno-sensor\t\t0\t0\t0\t"
                                "no-sensor unreported\t\t\n"));
  EXPECT_THAT(text(), HasSubstr("\nattention\terror\t1 tap is connected and does not forward"));
}

TEST_F(StatusTextTest, KeepsToTheNamespace) {
  taps_.tell(taps_.connect("web", true), PageView::report());
  taps_.connect("db", false, "data");
  const std::string shop = text({"shop", ""});
  EXPECT_THAT(shop, HasSubstr("\ntap\tshop\tweb\t"));
  EXPECT_THAT(shop, Not(HasSubstr("db")));
  EXPECT_THAT(shop, Not(HasSubstr("attention")));
  EXPECT_THAT(text({"data", ""}), HasSubstr("\nattention\terror\t"));
}

TEST_F(StatusTextTest, SaysMoreOfASinglePod) {
  auto report = PageView::report("10.0.0.9:2003", "dialling", "connection\trefused\n");
  report.interfaces.push_back({"net1", false});
  report.lost = {{"backlog", 3}, {"rate", 0}};
  taps_.tell(taps_.connect("web", false), report);
  const std::string web = text({"shop", "web"});
  EXPECT_THAT(web, HasSubstr("\ninterface\teth0\tyes\ninterface\tnet1\tno\n"));
  EXPECT_THAT(web, HasSubstr("\nsensor\t10.0.0.9:2003\tdialling\tconnection refused \n"));
  EXPECT_THAT(web, HasSubstr("\ncounts\t1000\t0\t500\t0\n"));
  EXPECT_THAT(web, HasSubstr("\nlost\tbacklog\t3\n"));
  EXPECT_THAT(web, Not(HasSubstr("lost\trate")));
  EXPECT_THAT(web, Not(HasSubstr("attention")));
  EXPECT_THAT(text({"shop", "db"}), Not(HasSubstr("\ncounts")));
}

TEST_F(StatusTextTest, NamesTheMeshOfATapThatForwardsItsPlaintext) {
  auto report = PageView::report();
  taps_.tell(taps_.connect("plain", true), report);
  report.mesh = sidetap::registry::MeshReport{.kind = "istio", .read = 9, .legs = 8, .covered = 5};
  taps_.tell(taps_.connect("web", true), report);
  EXPECT_THAT(text(), HasSubstr("\t1.0.0\nmesh\tshop\tweb\tistio\t9\t8\t5\n"));
  EXPECT_THAT(text({"shop", "plain"}), Not(HasSubstr("mesh")));
}

TEST_F(StatusTextTest, NamesPodsWithoutATapWhereSomebodyLooks) {
  coverage::Summary summary;
  summary.untapped = 1;
  summary.listed.push_back({"shop", "old", "Deployment/old", coverage::Cause::kOlder, ""});
  EXPECT_THAT(text({"shop", ""}, &summary),
              HasSubstr("\ncoverage\tyes\nuntapped\tshop\told\tDeployment/old\tolder\t\tThe pod "
                        "was created before "));
  EXPECT_THAT(text({"data", ""}, &summary), Not(HasSubstr("untapped")));
  EXPECT_THAT(text(), HasSubstr("\ncoverage\tno\n"));
}

}  // namespace
}  // namespace sidetap::webhook::page
