#include "webhook/selftest/diagnosis.h"

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

Diagnosis after(const kube::Response& answer, int taken_ms = 20) {
  return diagnose(answer, milliseconds(taken_ms), kSetting);
}

TEST(Selftest, FindsTheTapAsNativeSidecar) {
  const auto diagnosis = after(
      created({{"initContainers", {{{"name", "setup"}}, {{"name", "sidetap"}, {"image", "r/s:1"}}}},
               {"containers", {{{"name", "application"}}}}}));
  EXPECT_TRUE(diagnosis.injected);
  EXPECT_THAT(diagnosis.text, HasSubstr("a native sidecar, image r/s:1"));
}

TEST(Selftest, FindsTheTapAsPlainContainer) {
  const auto diagnosis =
      after(created({{"containers", {{{"name", "application"}}, {{"name", "sidetap"}}}}}));
  EXPECT_TRUE(diagnosis.injected);
  EXPECT_THAT(diagnosis.text, HasSubstr("a plain container"));
}

TEST(Selftest, ASlowPassWithoutTapIsAFirewall) {
  const auto diagnosis = after(created({{"containers", {{{"name", "application"}}}}}), 3005);
  EXPECT_FALSE(diagnosis.injected);
  EXPECT_TRUE(diagnosis.may_settle);
  EXPECT_THAT(diagnosis.text, HasSubstr("Allow TCP 10250 from the control plane"));
  EXPECT_THAT(diagnosis.text, HasSubstr("--allow tcp:10250"));
}

TEST(Selftest, AQuickPassWithoutTapIsNoFirewall) {
  const auto diagnosis = after(created({{"containers", {{{"name", "application"}}}}}));
  EXPECT_FALSE(diagnosis.injected);
  EXPECT_TRUE(diagnosis.may_settle);
  EXPECT_THAT(diagnosis.text, Not(HasSubstr("Allow TCP")));
  EXPECT_THAT(diagnosis.text, HasSubstr("caBundle"));
  EXPECT_THAT(diagnosis.text, HasSubstr("Pod Security"));
  EXPECT_THAT(diagnosis.text, HasSubstr("injection.excludedNamespaces"));
}

TEST(Selftest, ATimeoutUnderFailIsAFirewallToo) {
  const auto diagnosis = after(refused(
      500,
      "Internal error occurred: failed calling webhook \"pod.inject.sidetap.io\": failed to call "
      "webhook: Post \"https://sidetap-webhook.sidetap-system.svc:443/inject/pod?timeout=3s\": "
      "context deadline exceeded"));
  EXPECT_FALSE(diagnosis.injected);
  EXPECT_THAT(diagnosis.text, HasSubstr("Allow TCP 10250"));
}

TEST(Selftest, AForeignCertificateIsNamed) {
  const auto diagnosis = after(refused(
      500,
      "failed calling webhook \"pod.inject.sidetap.io\": tls: failed to verify certificate: "
      "x509: certificate signed by unknown authority"));
  EXPECT_TRUE(diagnosis.may_settle);
  EXPECT_THAT(diagnosis.text, HasSubstr("does not match the certificate"));
}

TEST(Selftest, PodSecurityIsNamedWithItsRemedy) {
  const auto diagnosis = after(
      refused(403,
              "pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\": non-default "
              "capabilities (container \"sidetap\" must not include \"NET_RAW\")"));
  EXPECT_FALSE(diagnosis.may_settle);
  EXPECT_THAT(diagnosis.text, HasSubstr("sidecar.capabilities=runtimeDefault"));
}

TEST(Selftest, MissingRightsAreNoFaultOfTheWebhook) {
  const auto diagnosis =
      after(refused(403, "pods is forbidden: User \"x\" cannot create resource"));
  EXPECT_FALSE(diagnosis.may_settle);
  EXPECT_THAT(diagnosis.text, HasSubstr("may not create pods in namespace default"));
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
    const auto diagnosis = diagnose_endpoints(slices(endpoints), kSetting);
    ASSERT_TRUE(diagnosis) << endpoints;
    EXPECT_FALSE(diagnosis->injected);
    EXPECT_TRUE(diagnosis->may_settle);
    EXPECT_THAT(diagnosis->text, HasSubstr("No pod of the webhook is ready"));
    EXPECT_THAT(diagnosis->text, HasSubstr("kubectl -n sidetap-system describe pods"));
    EXPECT_THAT(diagnosis->text, Not(HasSubstr("Allow TCP")));
  }
  EXPECT_TRUE(diagnose_endpoints({200, json::object({{"items", json::array()}})}, kSetting));
}

TEST(Selftest, WhereAPodIsReadyOrNobodySaysTheyDecideNothing) {
  const json silent = json::object({{"addresses", json::array({"10.0.0.1"})}});
  EXPECT_FALSE(diagnose_endpoints(slices(json::array({endpoint(true)})), kSetting));
  EXPECT_FALSE(diagnose_endpoints(slices(json::array({endpoint(false), silent})), kSetting));
  EXPECT_FALSE(diagnose_endpoints(refused(403, "forbidden"), kSetting));
  for (const json& body : {json(), json("text"), json::array(), json::object({{"items", 1}})})
    EXPECT_FALSE(diagnose_endpoints({200, body}, kSetting));
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
