#include "webhook/admission/review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/review_builder.h"

namespace sidetap {
namespace {

using admission::Action;
using admission::Entry;
using admission::Reason;
using test::Json;
using test::plain_pod;
using test::review_of;
using test::test_configuration;
using testing::HasSubstr;

admission::Answer admit_text(std::string_view text) {
  return admit(text, Entry::kNamespace, test_configuration());
}
admission::Answer admit_json(const Json& review) { return admit_text(review.dump()); }

void expect_rejected(const admission::Answer& outcome, const std::string& why) {
  EXPECT_EQ(outcome.status, 400U);
  EXPECT_EQ(outcome.action, Action::kReject);
  EXPECT_EQ(outcome.reason, Reason::kBadReview);
  EXPECT_THAT(outcome.body, HasSubstr(why));
  EXPECT_TRUE(outcome.body.ends_with('\n'));
  EXPECT_TRUE(outcome.content_type.starts_with("text/plain"));
}

TEST(Review, IsAnsweredWithItsUidAndABase64Patch) {
  const admission::Answer outcome = admit_json(review_of(plain_pod()));
  EXPECT_EQ(outcome.status, 200U);
  EXPECT_EQ(outcome.content_type, "application/json");
  const Json answer = Json::parse(outcome.body);
  EXPECT_EQ(answer["apiVersion"], "admission.k8s.io/v1");
  EXPECT_EQ(answer["kind"], "AdmissionReview");
  const Json& response = answer["response"];
  EXPECT_EQ(response["uid"], "11111111-2222");
  EXPECT_EQ(response["allowed"], true);
  EXPECT_EQ(response["patchType"], "JSONPatch");
  EXPECT_FALSE(response["patch"].get<std::string>().empty());
  EXPECT_EQ(response["auditAnnotations"],
            (Json{{"decision", "inject"}, {"reason", "namespace-enabled"}}));
  EXPECT_FALSE(response.contains("warnings"));
}

TEST(Review, WithoutAPatchHasNoPatchType) {
  Json pod = plain_pod();
  pod["spec"]["hostNetwork"] = true;
  const Json response = Json::parse(admit_json(review_of(pod)).body)["response"];
  EXPECT_EQ(response["allowed"], true);
  EXPECT_FALSE(response.contains("patch"));
  EXPECT_FALSE(response.contains("patchType"));
  EXPECT_EQ(response["warnings"].size(), 1U);
  EXPECT_EQ(response["auditAnnotations"]["reason"], "host-network");
}

TEST(Review, TellsTheLogWhoseItIs) {
  Json pod = plain_pod();
  Json review = review_of(pod);
  review["request"]["dryRun"] = true;
  admission::Answer outcome = admit_json(review);
  EXPECT_EQ(outcome.uid, "11111111-2222");
  EXPECT_EQ(outcome.namespace_name, "shop");
  EXPECT_EQ(outcome.owner, "web-7d4b9-");
  EXPECT_TRUE(outcome.dry_run);
  EXPECT_EQ(outcome.action, Action::kInject);

  pod["metadata"]["name"] = "web-0";
  EXPECT_EQ(admit_json(review_of(pod)).owner, "web-0");
  pod["metadata"]["ownerReferences"] = Json::parse(
      R"([{"kind":"Audit","name":"x"},{"kind":"ReplicaSet","name":"web-7d4b9","controller":true}])");
  EXPECT_EQ(admit_json(review_of(pod)).owner, "ReplicaSet/web-7d4b9");
}

TEST(Review, NamesTheControllerOnlyIfThereIsSomethingToTellIt) {
  Json pod = plain_pod();
  pod["metadata"]["ownerReferences"] = Json::parse(
      R"([{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7d4b9","uid":"u-1","controller":true}])");
  EXPECT_FALSE(admit_json(review_of(pod)).controller);
  pod["spec"]["hostNetwork"] = true;
  const auto controller = admit_json(review_of(pod)).controller;
  ASSERT_TRUE(controller);
  EXPECT_EQ(controller->api_version, "apps/v1");
  EXPECT_EQ(controller->kind, "ReplicaSet");
  EXPECT_EQ(controller->name, "web-7d4b9");
  EXPECT_EQ(controller->uid, "u-1");
  pod["metadata"]["ownerReferences"][0]["controller"] = false;
  EXPECT_FALSE(admit_json(review_of(pod)).controller);
}

TEST(Review, OfAnotherOperationOrKindIsAllowedUnchanged) {
  const auto changed = [](const char* pointer, const Json& value) {
    Json review = review_of(plain_pod());
    review[Json::json_pointer(pointer)] = value;
    const admission::Answer outcome = admit_json(review);
    EXPECT_EQ(outcome.status, 200U) << outcome.body;
    EXPECT_EQ(outcome.reason, Reason::kNotPodCreation) << pointer;
    EXPECT_TRUE(outcome.patch.empty());
    EXPECT_EQ(Json::parse(outcome.body)["response"]["allowed"], true);
    EXPECT_TRUE(outcome.warnings.empty());
  };
  changed("/request/operation", "UPDATE");
  changed("/request/operation", "DELETE");
  changed("/request/operation", "CONNECT");
  changed("/request/subResource", "ephemeralcontainers");
  changed("/request/kind/kind", "Deployment");
  changed("/request/kind/group", "apps");
  changed("/request/kind/version", "v2");
}

TEST(Review, OfADeletionHasNoObject) {
  Json review = review_of(nullptr);
  review["request"]["operation"] = "DELETE";
  EXPECT_EQ(admit_json(review).status, 200U);
}

TEST(Review, WithoutAPodIsAllowedWithAWarning) {
  const admission::Answer outcome = admit_json(review_of(nullptr));
  EXPECT_EQ(outcome.status, 200U);
  EXPECT_EQ(outcome.reason, Reason::kUnusablePod);
  EXPECT_EQ(outcome.warnings.size(), 1U);
}

TEST(Review, ThatIsNoneIsRejectedWithTheReason) {
  expect_rejected(admit_text(""), "empty");
  expect_rejected(admit_text("   "), "empty");
  expect_rejected(admit_text("{"), "not JSON");
  expect_rejected(admit_text("hello"), "not JSON");
  expect_rejected(admit_text("[]"), "no JSON object");
  expect_rejected(admit_text("17"), "no JSON object");
  expect_rejected(admit_text("{}"), "kind");
  expect_rejected(admit_text(R"({"a":1} x)"), "not JSON");
  const auto without = [](const char* key) {
    Json review = review_of(plain_pod());
    review["request"].erase(key);
    return admit_json(review);
  };
  expect_rejected(without("uid"), "request.uid");
  expect_rejected(without("operation"), "request.operation");
  Json review = review_of(plain_pod());
  review["apiVersion"] = "admission.k8s.io/v1beta1";
  expect_rejected(admit_json(review), "v1beta1");
  review = review_of(plain_pod());
  review["request"] = "x";
  expect_rejected(admit_json(review), "request is not an object");
  review["kind"] = "Pod";
  expect_rejected(admit_json(review), "\"Pod\"");
}

TEST(Review, OfInvalidUtf8IsRejected) {
  Json pod = plain_pod();
  pod["metadata"]["labels"]["x"] = "QQQQ";
  for (const std::string bad :
       {"\xff\xfe\xfd\xfc", "\xc3(((", "\xed\xa0\x80Q", "\xf5\x80\x80\x80", "\xc0\xafQQ"}) {
    std::string text = review_of(pod).dump();
    text.replace(text.find("QQQQ"), 4, bad);
    expect_rejected(admit_text(text), "UTF-8");
  }
}

TEST(Review, NestedTooDeeplyIsRejected) {
  for (const std::size_t depth : {300U, 5000U, 200'000U}) {
    std::string lists(depth, '[');
    EXPECT_EQ(admit_text(lists).status, 400U);
    expect_rejected(admit_text(lists + std::string(depth, ']')), "256 levels deep");
    std::string objects;
    for (std::size_t i = 0; i < depth; ++i) objects += R"({"a":)";
    expect_rejected(admit_text(objects + "1" + std::string(depth, '}')), "256 levels deep");
  }
}

TEST(Review, MayNestAsDeeplyAsPodsDo) {
  Json pod = plain_pod();
  Json nest = 1;
  for (int i = 0; i < 200; ++i) nest = Json{{"a", nest}};
  pod["spec"]["invented"] = nest;
  EXPECT_EQ(admit_json(review_of(pod)).action, Action::kInject);
}

TEST(Review, OfEveryLengthOfATruncatedOneIsAnswered) {
  const std::string whole = review_of(plain_pod()).dump();
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_EQ(admit_text(whole.substr(0, length)).status, 400U) << length;
}

TEST(Review, WithoutKindIsTakenByItsObject) {
  Json review = review_of(plain_pod());
  review["request"].erase("kind");
  EXPECT_EQ(admit_json(review).action, Action::kInject);
  review["request"]["object"]["kind"] = "Deployment";
  EXPECT_EQ(admit_json(review).reason, Reason::kNotPodCreation);
}

TEST(Review, OfAVeryLargePodIsAnswered) {
  Json pod = plain_pod();
  for (int i = 0; i < 1000; ++i)
    pod["metadata"]["annotations"]["a" + std::to_string(i)] = std::string(1000, 'x');
  const admission::Answer outcome = admit_json(review_of(pod));
  EXPECT_EQ(outcome.action, Action::kInject);
  EXPECT_LT(outcome.patch.size(), 5000U);
}

}  // namespace
}  // namespace sidetap
