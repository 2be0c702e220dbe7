#include "webhook/selftest/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::selftest {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

const Setting kSetting{"default", 10250, milliseconds(3000), "sidetap-system", "sidetap-webhook"};

kube::Response created(const json& spec) { return {201, {{"kind", "Pod"}, {"spec", spec}}}; }

kube::Response refused(unsigned status, const std::string& message) {
  return {status, {{"kind", "Status"}, {"message", message}}};
}

Verdict after(const kube::Response& answer, int taken_ms = 20) {
  return judge(answer, milliseconds(taken_ms), kSetting);
}

TEST(Selftest, FindsTheTapAsNativeSidecar) {
  const auto verdict = after(
      created({{"initContainers", {{{"name", "setup"}}, {{"name", "sidetap"}, {"image", "r/s:1"}}}},
               {"containers", {{{"name", "application"}}}}}));
  EXPECT_TRUE(verdict.injected);
  EXPECT_THAT(verdict.text, HasSubstr("a native sidecar, image r/s:1"));
}

TEST(Selftest, FindsTheTapAsPlainContainer) {
  const auto verdict =
      after(created({{"containers", {{{"name", "application"}}, {{"name", "sidetap"}}}}}));
  EXPECT_TRUE(verdict.injected);
  EXPECT_THAT(verdict.text, HasSubstr("a plain container"));
}

TEST(Selftest, ASlowPassWithoutTapIsAFirewall) {
  const auto verdict = after(created({{"containers", {{{"name", "application"}}}}}), 3005);
  EXPECT_FALSE(verdict.injected);
  EXPECT_TRUE(verdict.may_settle);
  EXPECT_THAT(verdict.text, HasSubstr("Allow TCP 10250 from the control plane"));
  EXPECT_THAT(verdict.text, HasSubstr("--allow tcp:10250"));
}

TEST(Selftest, AQuickPassWithoutTapIsNoFirewall) {
  const auto verdict = after(created({{"containers", {{{"name", "application"}}}}}));
  EXPECT_FALSE(verdict.injected);
  EXPECT_TRUE(verdict.may_settle);
  EXPECT_THAT(verdict.text, Not(HasSubstr("Allow TCP")));
  EXPECT_THAT(verdict.text, HasSubstr("caBundle"));
  EXPECT_THAT(verdict.text, HasSubstr("Pod Security"));
}

TEST(Selftest, ATimeoutUnderFailIsAFirewallToo) {
  const auto verdict = after(refused(
      500,
      "Internal error occurred: failed calling webhook \"pod.inject.sidetap.io\": failed to call "
      "webhook: Post \"https://sidetap-webhook.sidetap-system.svc:443/inject/pod?timeout=3s\": "
      "context deadline exceeded"));
  EXPECT_FALSE(verdict.injected);
  EXPECT_THAT(verdict.text, HasSubstr("Allow TCP 10250"));
}

TEST(Selftest, AForeignCertificateIsNamed) {
  const auto verdict = after(refused(
      500,
      "failed calling webhook \"pod.inject.sidetap.io\": tls: failed to verify certificate: "
      "x509: certificate signed by unknown authority"));
  EXPECT_TRUE(verdict.may_settle);
  EXPECT_THAT(verdict.text, HasSubstr("caBundle is not that of the certificate"));
}

TEST(Selftest, PodSecurityIsNamedWithItsRemedy) {
  const auto verdict = after(
      refused(403,
              "pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\": non-default "
              "capabilities (container \"sidetap\" must not include \"NET_RAW\")"));
  EXPECT_FALSE(verdict.may_settle);
  EXPECT_THAT(verdict.text, HasSubstr("sidecar.capabilities=runtimeDefault"));
}

TEST(Selftest, MissingRightsAreNoFaultOfTheWebhook) {
  const auto verdict = after(refused(403, "pods is forbidden: User \"x\" cannot create resource"));
  EXPECT_FALSE(verdict.may_settle);
  EXPECT_THAT(verdict.text, HasSubstr("may not create pods in namespace default"));
}

json endpoint(bool ready) {
  return json::object({{"conditions", json::object({{"ready", ready}})}});
}

/// The answer of the API server with one slice of these endpoints.
kube::Response slices(const json& endpoints) {
  return {200, json::object({{"items", json::array({json::object({{"endpoints", endpoints}})})}})};
}

TEST(Selftest, WithoutAReadyPodTheReasonIsInTheClusterAndNotOnTheWay) {
  for (const json& endpoints : {json::array(), json(), json::array({endpoint(false)})}) {
    const auto verdict = judge_endpoints(slices(endpoints), kSetting);
    ASSERT_TRUE(verdict) << endpoints;
    EXPECT_FALSE(verdict->injected);
    EXPECT_TRUE(verdict->may_settle);
    EXPECT_THAT(verdict->text, HasSubstr("No pod of the webhook is ready"));
    EXPECT_THAT(verdict->text, HasSubstr("kubectl -n sidetap-system describe pods"));
    EXPECT_THAT(verdict->text, Not(HasSubstr("Allow TCP")));
  }
  EXPECT_TRUE(judge_endpoints({200, json::object({{"items", json::array()}})}, kSetting));
}

TEST(Selftest, WhereAPodIsReadyOrNobodySaysTheyDecideNothing) {
  const json silent = json::object({{"addresses", json::array({"10.0.0.1"})}});
  EXPECT_FALSE(judge_endpoints(slices(json::array({endpoint(true)})), kSetting));
  EXPECT_FALSE(judge_endpoints(slices(json::array({endpoint(false), silent})), kSetting));
  EXPECT_FALSE(judge_endpoints(refused(403, "forbidden"), kSetting));
  for (const json& body : {json(), json("text"), json::array(), json::object({{"items", 1}})})
    EXPECT_FALSE(judge_endpoints({200, body}, kSetting));
}

TEST(Selftest, AnswersOfAnyShapeAreJudged) {
  for (const json& body : {json(), json("text"), json::array(), json{{"spec", 1}},
                           json{{"spec", {{"containers", "none"}}}},
                           json{{"spec", {{"initContainers", {1, json(), {{"name", 1}}}}}}}}) {
    EXPECT_FALSE(after({201, body}).injected);
    EXPECT_FALSE(after({500, body}).injected);
  }
}

TEST(Selftest, TheTrialPodAsksForATapAndHasNoneItself) {
  const json pod = trial_pod();
  EXPECT_EQ(pod["metadata"]["annotations"]["sidetap.io/inject"], "true");
  EXPECT_FALSE(after({201, pod}).injected);
  EXPECT_TRUE(pod["spec"]["containers"].is_array());
  EXPECT_EQ(pod["spec"]["containers"].size(), 1U);
}

}  // namespace
}  // namespace sidetap::selftest
