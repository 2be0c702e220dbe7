#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "webhook/server.h"

namespace sidetap::webhook {
namespace {

using boost::beast::http::verb;
using testing::HasSubstr;
using testing::Not;

class ReviewServiceTest : public testing::Test {
 protected:
  http::HttpAnswer ask(verb method, std::string_view target,
                       std::string_view type = "application/json", std::string body = "{}") {
    return service_({method, target, type, std::move(body)});
  }

  ReviewResult result_{true,  "{\"answer\":1}", "injected", "namespace enabled",
                       "u-1", "shop",           "web-"};
  Entry called_ = Entry::kPod;
  std::string body_seen_;
  telemetry::MetricsRegistry metrics_;
  ReviewService service_{[this](Entry entry, const std::string& body) {
                           called_ = entry;
                           body_seen_ = body;
                           return result_;
                         },
                         metrics_};
};

TEST_F(ReviewServiceTest, EachPathIsAnEntryOfTheConfiguration) {
  const auto answer = ask(verb::post, "/inject/namespace", "application/json", "a review");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(answer.body, "{\"answer\":1}");
  EXPECT_EQ(called_, Entry::kNamespace);
  EXPECT_EQ(body_seen_, "a review");
  EXPECT_EQ(ask(verb::post, "/inject/pod?timeout=3s").status, 200u);
  EXPECT_EQ(called_, Entry::kPod);
}

TEST_F(ReviewServiceTest, RefusesWhatIsNoQuestion) {
  EXPECT_EQ(ask(verb::post, "/inject").status, 404u);
  EXPECT_EQ(ask(verb::post, "/inject/pod/").status, 404u);
  EXPECT_EQ(ask(verb::get, "/").status, 404u);
  const auto get = ask(verb::get, "/inject/pod");
  EXPECT_EQ(get.status, 405u);
  EXPECT_EQ(get.allow, "POST");
  for (const char* type : {"", "text/json", "application/jsonp", "application/yaml"}) {
    EXPECT_EQ(ask(verb::post, "/inject/pod", type).status, 415u) << type;
  }
  EXPECT_EQ(body_seen_, "");
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_webhook_request_errors_total{code=\"415\"} 4"));
}

TEST_F(ReviewServiceTest, TakesJsonWithParametersInAnyCase) {
  EXPECT_EQ(ask(verb::post, "/inject/pod", "application/json; charset=utf-8").status, 200u);
  EXPECT_EQ(ask(verb::post, "/inject/pod", "Application/JSON").status, 200u);
}

TEST_F(ReviewServiceTest, WhatIsNoReviewIsA400WithTheReason) {
  result_ = {false, "request.uid is missing", "", ""};
  const auto answer = ask(verb::post, "/inject/pod");
  EXPECT_EQ(answer.status, 400u);
  EXPECT_EQ(answer.body, "request.uid is missing\n");
  EXPECT_THAT(metrics_.text(), Not(HasSubstr("sidetap_webhook_reviews_total{")));
}

TEST_F(ReviewServiceTest, CountsByEntryDecisionAndReason) {
  result_.patch_bytes = 700;
  ask(verb::post, "/inject/pod");
  ask(verb::post, "/inject/pod");
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_webhook_reviews_total{decision=\"injected\","
                                         "entry=\"pod\",reason=\"namespace enabled\"} 2"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_webhook_review_seconds_count 2"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_webhook_patch_bytes_sum 1400"));
}

TEST_F(ReviewServiceTest, LabelsStayFewWhateverReasonsThereAre) {
  for (int i = 0; i < 1000; ++i) {
    result_.reason = std::to_string(i);
    ask(verb::post, "/inject/pod");
  }
  const std::string text = metrics_.text();
  EXPECT_THAT(text, HasSubstr("decision=\"other\",entry=\"pod\",reason=\"other\"} 800"));
  EXPECT_THAT(text, Not(HasSubstr("reason=\"500\"")));
}

}  // namespace
}  // namespace sidetap::webhook
