#include "webhook/serve/review_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::webhook {
namespace {

using boost::beast::http::verb;
using testing::HasSubstr;

class ReviewServiceTest : public testing::Test {
 protected:
  http::HttpAnswer ask(verb method, std::string_view target,
                       std::string_view type = "application/json", std::string body = "{}") {
    return service_(http::HttpRequest{method, target, type, std::move(body)});
  }

  admission::Answer outcome_ = [] {
    admission::Answer outcome;
    outcome.body = "{\"answer\":1}";
    outcome.action = admission::Action::kInject;
    outcome.reason = admission::Reason::kPodOptIn;
    return outcome;
  }();
  Route called_{.entry = admission::Entry::kDisabled};
  std::string body_seen_;
  telemetry::MetricsRegistry metrics_;
  ReviewService service_{[this](std::string_view body, Route called) {
                           called_ = called;
                           body_seen_ = body;
                           return outcome_;
                         },
                         metrics_};
};

TEST_F(ReviewServiceTest, EachPathIsARuleOfTheConfiguration) {
  const auto answer = ask(verb::post, "/inject/namespace", "application/json", "a review");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(answer.body, "{\"answer\":1}");
  EXPECT_EQ(called_, (Route{admission::Entry::kNamespace, false}));
  EXPECT_EQ(body_seen_, "a review");
  EXPECT_EQ(ask(verb::post, "/inject/pod?timeout=3s").status, 200u);
  EXPECT_EQ(called_, (Route{admission::Entry::kPod, false}));
  EXPECT_EQ(ask(verb::post, "/inject/ephemeral?timeout=3s").status, 200u);
  EXPECT_EQ(called_, (Route{admission::Entry::kEphemeral, false}));
  EXPECT_EQ(ask(verb::post, "/inject/ephemeral-disabled/baseline").status, 200u);
  EXPECT_EQ(called_, (Route{admission::Entry::kEphemeralDisabled, true}));
  EXPECT_EQ(ask(verb::post, "/inject/disabled").status, 404u);
}

TEST_F(ReviewServiceTest, ThePathSaysWhichLevelTheEntryLetsThrough) {
  EXPECT_EQ(ask(verb::post, "/inject/namespace/baseline").status, 200u);
  EXPECT_EQ(called_, (Route{admission::Entry::kNamespace, true}));
  EXPECT_EQ(ask(verb::post, "/inject/pod/baseline?timeout=3s").status, 200u);
  EXPECT_EQ(called_, (Route{admission::Entry::kPod, true}));
  for (const char* path : {"/baseline", "/inject/baseline", "/inject/pod/restricted",
                           "/inject/pod/baseline/baseline", "/inject/pod/baseline/"}) {
    EXPECT_EQ(ask(verb::post, path).status, 404u) << path;
  }
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
  outcome_.status = 400;
  outcome_.body = "request.uid is missing";
  outcome_.action = admission::Action::kReject;
  outcome_.reason = admission::Reason::kBadReview;
  const auto answer = ask(verb::post, "/inject/pod");
  EXPECT_EQ(answer.status, 400u);
  EXPECT_EQ(answer.body, "request.uid is missing");
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_webhook_request_errors_total{code=\"400\"} 1"));
}

TEST_F(ReviewServiceTest, CountsByRuleDecisionAndReason) {
  outcome_.patch = std::string(700, 'p');
  ask(verb::post, "/inject/pod");
  ask(verb::post, "/inject/pod");
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_webhook_reviews_total{decision=\"inject\","
                                         "reason=\"pod-opt-in\",rule=\"pod\"} 2"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_webhook_review_seconds_count 2"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_webhook_patch_bytes_sum 1400"));
}

}  // namespace
}  // namespace sidetap::webhook
