#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/webhook_offline/offline_fixture.h"
#include "webhook/offline/commands.h"

namespace sidetap::offline {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using yaml::Tree;

TEST_F(Offline, InjectKeepsTheOrderOfDocumentsAndKeysAndWhatElseIsThere) {
  ASSERT_EQ(run(inject_command, kManifests), 0) << err_;
  const auto before = trees_of(kManifests);
  const auto after = trees();
  ASSERT_EQ(after.size(), 3U);
  EXPECT_EQ(after[0], before[0]);
  EXPECT_EQ(after[2], before[2]) << "it opts out";
  Tree pod = after[1]["spec"]["template"];
  EXPECT_EQ(pod["spec"]["initContainers"][0]["name"], "sidetap");
  EXPECT_EQ(pod["spec"]["initContainers"][0]["restartPolicy"], "Always");
  EXPECT_EQ(pod["spec"]["containers"], before[1]["spec"]["template"]["spec"]["containers"]);
  pod["spec"].erase("initContainers");
  pod["spec"].erase("volumes");
  pod["metadata"].erase("annotations");
  EXPECT_EQ(pod, before[1]["spec"]["template"]);
  EXPECT_LT(out_.find("apiVersion: apps/v1"), out_.find("kind: Deployment"));
  EXPECT_THAT(out_, AllOf(HasSubstr("value: \"on\""), HasSubstr("value: \"1.50\"")));
}

TEST_F(Offline, InjectTwiceIsInjectOnce) {
  ASSERT_EQ(run(inject_command, kManifests), 0);
  const std::string once = out_;
  ASSERT_EQ(run(inject_command, once), 0);
  EXPECT_EQ(out_, once);
}

TEST_F(Offline, InjectAnswersJsonWithJson) {
  ASSERT_EQ(run(inject_command, R"({"kind":"Pod","spec":{"containers":[{"name":"a"}]}})"), 0);
  const Tree pod = Tree::parse(out_);
  EXPECT_EQ(pod["spec"]["initContainers"][0]["name"], "sidetap");
  EXPECT_TRUE(pod["metadata"]["annotations"].contains("sidetap.io/status"));
}

TEST_F(Offline, InjectFollowsTheLabelsOfNamespaces) {
  const std::string text = R"(
kind: Namespace
metadata: {name: quiet}
---
kind: Namespace
metadata: {name: "off", labels: {sidetap.io/inject: disabled}}
---
kind: Pod
metadata: {name: a, namespace: quiet}
spec: {containers: [{name: a}]}
---
kind: Pod
metadata: {name: b, namespace: quiet, annotations: {sidetap.io/inject: "true"}}
spec: {containers: [{name: a}]}
---
kind: Pod
metadata: {name: c, namespace: "off", annotations: {sidetap.io/inject: "true"}}
spec: {containers: [{name: a}]}
---
kind: Pod
metadata: {name: d, namespace: other}
spec: {containers: [{name: a}]}
)";
  const auto injected = [&](std::size_t i) {
    return trees()[i]["spec"].contains("initContainers");
  };
  ASSERT_EQ(run(inject_command, text), 0);
  EXPECT_FALSE(injected(2));
  EXPECT_TRUE(injected(3));
  EXPECT_FALSE(injected(4));
  EXPECT_TRUE(injected(5));
  ASSERT_EQ(run(inject_command, text, {"--namespace-labels", "a=b"}), 0);
  EXPECT_FALSE(injected(5));
  ASSERT_EQ(run(inject_command, text, {"--namespace-labels", "a=b,sidetap.io/inject=enabled"}), 0);
  EXPECT_TRUE(injected(5));
}

TEST_F(Offline, InjectWarnsOnStandardErrorOnly) {
  ASSERT_EQ(run(inject_command, R"({"kind":"Pod","metadata":{"name":"n"},
      "spec":{"hostNetwork":true,"containers":[{"name":"a"}]}})"),
            0);
  EXPECT_THAT(err_, AllOf(HasSubstr("Pod default/n: sidetap: not injected"), HasSubstr("node")));
  EXPECT_THAT(out_, Not(HasSubstr("not injected")));
}

TEST_F(Offline, WrongInputIsOneLine) {
  EXPECT_EQ(run(inject_command, "a: [b\n"), 1);
  EXPECT_THAT(err_, AllOf(HasSubstr("in.yaml"), HasSubstr("line")));
  EXPECT_EQ(run(inject_command, "a: 1\na: 2\n"), 1);
  EXPECT_THAT(err_, HasSubstr("twice"));
  EXPECT_EQ(run_with(inject_command, {"-f", "/nonexistent/file"}), 1);
  EXPECT_THAT(err_, HasSubstr("/nonexistent/file"));
  EXPECT_EQ(run_with(inject_command, {"-f", folder_}), 1);
  EXPECT_THAT(err_, HasSubstr(folder_ + ": cannot be read"));
  EXPECT_EQ(run_with(inject_command, {}), 2);
  EXPECT_EQ(run_with(explain_command, {"-f", "-", "--nonsense"}), 2);
  EXPECT_EQ(run_with(explain_command, {"-f", "x", "--namespace-labels", "a"}), 2);
  EXPECT_EQ(run_with(explain_command, {"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("--namespace-labels"));
  const std::string bad = write("bad.yaml", "sensr: 1\n");
  EXPECT_EQ(run_with(inject_command, {"-f", folder_ + "/in.yaml", "--config", bad}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("bad.yaml: sensr: unknown key")));
  EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1);
}

TEST_F(Offline, ExplainSaysWhichRuleAndWhatElseToSet) {
  ASSERT_EQ(run(explain_command, kManifests, {"--namespace-labels", "a=b"}), 0);
  EXPECT_THAT(
      out_,
      AllOf(HasSubstr("Deployment default/web: would not be injected"), HasSubstr("not-requested"),
            HasSubstr("sidetap.io/inject=enabled on namespace default"),
            HasSubstr("Pod default/alone: would not be injected"), HasSubstr("pod-opt-out")));
  ASSERT_EQ(run(explain_command, kManifests, {"--namespace-labels", "sidetap.io/inject=enabled"}),
            0);
  EXPECT_THAT(out_, AllOf(HasSubstr("Deployment default/web: would be injected"),
                          HasSubstr("namespace.inject"), HasSubstr("\"form\":\"native\"")));
  EXPECT_THAT(out_, Not(HasSubstr("attention")));
}

TEST_F(Offline, ExplainNamesTheProfileAndWhoChoseIt) {
  write("config.yaml",
        "sensor: {address: 10.10.10.10}\n"
        "profiles: {edge: {namespaces: [shop]}, lab: {}}\n");
  const auto explained = [&](const std::string& metadata) {
    EXPECT_EQ(run(explain_command, "kind: Pod\nmetadata: {name: a, " + metadata +
                                       "}\nspec: {containers: [{name: a}]}\n"),
              0)
        << err_;
    return out_;
  };
  EXPECT_THAT(explained("namespace: shop"),
              HasSubstr("  profile: edge (profiles.edge.namespaces)"));
  EXPECT_THAT(explained("namespace: shop, annotations: {sidetap.io/profile: lab}"),
              HasSubstr("  profile: lab (annotation sidetap.io/profile)"));
  EXPECT_THAT(explained("namespace: other"), Not(HasSubstr("profile")));
}

TEST_F(Offline, ExplainMissesSubnetsOnlyWhereNothingStandsForThem) {
  const auto explained = [&](const std::string& more) {
    write("config.yaml",
          "sensor: {address: 10.10.10.10}\ninjection: {serverVersion: v1.36.1}\n" + more);
    EXPECT_EQ(run(explain_command, kManifests), 0) << err_;
    return out_;
  };
  const std::string registry = "registry: {address: registry.example.com}\n";
  EXPECT_THAT(explained(registry), Not(HasSubstr("attention")));
  EXPECT_THAT(explained(""), AllOf(HasSubstr("attention: subnets.pods is not set"),
                                   HasSubstr("attention: subnets.services is not set")));
  EXPECT_THAT(explained("subnets: {pods: [10.244.0.0/16]}\n"),
              AllOf(Not(HasSubstr("subnets.pods is not set")),
                    HasSubstr("attention: subnets.services is not set")));
  const std::string never = "sidecar: {serviceView: never}\n";
  EXPECT_THAT(explained(registry + never), HasSubstr("attention: sidecar.serviceView is never"));
  EXPECT_THAT(explained(registry + never + "subnets: {services: [10.96.0.0/12]}\n"),
              Not(HasSubstr("attention")));
}

TEST_F(Offline, ALabelThatDeclinesKeepsTheApiServerFromAsking) {
  const std::string pod = R"(
kind: Pod
metadata:
  name: a
  labels: {sidetap.io/inject: "false"}
  annotations: {sidetap.io/inject: "true"}
spec: {containers: [{name: a, ports: [{containerPort: 08}], size: 123456789012345678901}]}
)";
  const std::vector<std::string> enabled = {"--namespace-labels", "sidetap.io/inject=enabled"};
  ASSERT_EQ(run(explain_command, pod, enabled), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("would not be injected"), HasSubstr("webhook entry: none"),
                          HasSubstr("its annotation does not count"), HasSubstr("pod-opt-out")));
  ASSERT_EQ(run(inject_command, pod, enabled), 0);
  EXPECT_THAT(out_, Not(HasSubstr("initContainers")));
  // The entry for other namespaces selects by conditions, in which the annotation counts.
  ASSERT_EQ(run(explain_command, pod, {"--namespace-labels", "a=b"}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("would be injected"), HasSubstr("pod.inject")));
  ASSERT_EQ(run(inject_command, pod, {"--namespace-labels", "a=b"}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("initContainers"), HasSubstr("containerPort: 08\n"),
                          HasSubstr("size: 123456789012345678901\n")));
}

// As the chart's namespaceSelector: with a tap, the API server would refuse the pod there.
TEST_F(Offline, ALevelOfPodSecurityThatRefusesTheTapKeepsTheApiServerFromAsking) {
  const auto labels = [](const std::string& level) -> std::vector<std::string> {
    return {"--namespace-labels",
            "sidetap.io/inject=enabled,pod-security.kubernetes.io/enforce=" + level};
  };
  for (const std::string level : {"restricted", "baseline"}) {
    ASSERT_EQ(run(explain_command, kManifests, labels(level)), 0);
    EXPECT_THAT(out_, AllOf(HasSubstr("Deployment default/web: would not be injected\n"
                                      "  webhook entry: none: "),
                            HasSubstr("level " + level), Not(HasSubstr("would be injected")),
                            Not(HasSubstr("namespace-enabled"))));
    ASSERT_EQ(run(inject_command, kManifests, labels(level)), 0);
    EXPECT_THAT(out_, Not(HasSubstr("initContainers")));
    EXPECT_THAT(err_, AllOf(HasSubstr("Deployment default/web: "), HasSubstr("level " + level)));
  }
  EXPECT_THAT(err_, HasSubstr("capabilities: runtimeDefault"));
  ASSERT_EQ(run(explain_command, kManifests, labels("privileged")), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("Deployment default/web: would be injected"),
                          Not(HasSubstr("attention"))));
  // A pod that asks is not asked about either; one that nobody asks for is as it was.
  const std::string asks = R"({"kind":"Pod","metadata":{"name":"a","annotations":
      {"sidetap.io/inject":"true"}},"spec":{"containers":[{"name":"a"}]}})";
  const std::string restricted = "pod-security.kubernetes.io/enforce=restricted";
  ASSERT_EQ(run(explain_command, asks, {"--namespace-labels", restricted}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("would not be injected"), HasSubstr("level restricted")));
  ASSERT_EQ(run(explain_command, kManifests, {"--namespace-labels", restricted}), 0);
  EXPECT_THAT(out_, HasSubstr("not-requested"));
}

TEST_F(Offline, TheRuntimesOwnCapabilitiesPassTheLevelBaseline) {
  write("config.yaml",
        "sensor: {address: 10.10.10.10}\n"
        "subnets: {pods: [10.244.0.0/16], services: [10.96.0.0/12]}\n"
        "sidecar: {capabilities: runtimeDefault}\n"
        "injection: {serverVersion: v1.36.1}\n");
  const std::string on = "sidetap.io/inject=enabled,pod-security.kubernetes.io/enforce=";
  ASSERT_EQ(run(explain_command, kManifests, {"--namespace-labels", on + "baseline"}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("Deployment default/web: would be injected"),
                          Not(HasSubstr("attention"))));
  ASSERT_EQ(run(explain_command, kManifests, {"--namespace-labels", on + "restricted"}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("Deployment default/web: would not be injected"),
                          Not(HasSubstr("runtimeDefault"))));
}

// Before 1.28 there are no matchConditions, and a selector sees labels only.
TEST_F(Offline, OnAnOldServerOnlyALabelHasThePodAskedAbout) {
  const auto config = [&](const std::string& version) {
    write("config.yaml",
          "sensor: {address: 10.10.10.10}\ninjection: {serverVersion: " + version + "}\n");
  };
  const auto pod = [](const std::string& where) {
    return R"({"kind":"Pod","metadata":{"name":"a",)" + where +
           R"(},"spec":{"containers":[{"name":"a"}]}})";
  };
  const std::string annotated = pod(R"("annotations":{"sidetap.io/inject":"true"})");
  const std::string labelled = pod(R"("labels":{"sidetap.io/inject":"true"})");
  const std::string both = pod(R"("labels":{"sidetap.io/inject":"false"},)"
                               R"("annotations":{"sidetap.io/inject":"true"})");
  const std::vector<std::string> plain = {"--namespace-labels", "a=b"};
  config("v1.27.4");
  ASSERT_EQ(run(explain_command, annotated, plain), 0);
  EXPECT_THAT(out_,
              AllOf(HasSubstr("would not be injected\n  webhook entry: none: "), HasSubstr("1.28"),
                    HasSubstr("the label sidetap.io/inject: \"true\" on "
                              "the pod"),
                    Not(HasSubstr("annotation sidetap.io/inject: \"true\" on the pod"))));
  ASSERT_EQ(run(inject_command, annotated, plain), 0);
  EXPECT_THAT(out_, Not(HasSubstr("sidetap-sidecar")));
  ASSERT_EQ(run(explain_command, both, plain), 0);
  EXPECT_THAT(out_, HasSubstr("would not be injected\n  webhook entry: none: "));
  ASSERT_EQ(run(explain_command, labelled, plain), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("would be injected"), HasSubstr("pod.inject")));
  ASSERT_EQ(run(explain_command, annotated, {"--namespace-labels", "sidetap.io/inject=enabled"}),
            0);
  EXPECT_THAT(out_, AllOf(HasSubstr("would be injected"), HasSubstr("namespace.inject")));
  config("v1.28.0");
  ASSERT_EQ(run(explain_command, annotated, plain), 0);
  EXPECT_THAT(out_, HasSubstr("would be injected"));
}

// The ConfigMap names the registry and holds no CA, without which a tap ends at once.
TEST_F(Offline, InjectLeavesOutARegistryThatTheTapCouldNotTrust) {
  const std::string named =
      "sensor: {address: 10.10.10.10}\nregistry: {address: registry.example.com}\n";
  write("config.yaml", named);
  ASSERT_EQ(run(inject_command, kManifests), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("sidetap-sidecar"), Not(HasSubstr("REGISTRY")),
                          Not(HasSubstr("serviceAccountToken"))));
  EXPECT_THAT(err_, HasSubstr("registry.ca in the configuration, or packets between tapped pods"));
  EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1);
  write("config.yaml", named + "sidecar: {env: {REGISTRY_CA: /etc/ca.crt}}\n");
  ASSERT_EQ(run(inject_command, kManifests), 0);
  EXPECT_THAT(out_, HasSubstr("registry.example.com:8444"));
  EXPECT_EQ(err_, "");
}

TEST_F(Offline, ExplainWithoutAConfigurationNamesTheMissingSensor) {
  const std::string file = write("pod.yaml", kManifests);
  ASSERT_EQ(
      run_with(explain_command, {"-f", file, "--namespace-labels", "sidetap.io/inject=enabled"}),
      0);
  EXPECT_THAT(out_, AllOf(HasSubstr("no-sensor"), HasSubstr("sensor.address")));
}

TEST_F(Offline, ExplainOfAFileWithoutPodsSaysSo) {
  ASSERT_EQ(run(explain_command, "kind: Service\n"), 0);
  EXPECT_THAT(out_, HasSubstr("no pods and no workloads"));
}

}  // namespace
}  // namespace sidetap::offline
