// How inject and explain handle unusual or invalid input.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/webhook_offline/offline_fixture.h"

namespace sidetap::offline {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The input is the same, so is what becomes of it.
TEST_F(Offline, BothCommandsTakeANamespaceOfUnknownLabelsForEnabled) {
  ASSERT_EQ(run(explain_command, kManifests), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("Deployment default/web: would be injected\n  webhook entry: "
                                    "namespace.inject, if the namespace is labelled"),
                          HasSubstr("not known (--namespace-labels)"),
                          HasSubstr("Pod default/alone: would not be injected")));
  ASSERT_EQ(run(inject_command, kManifests), 0);
  EXPECT_TRUE(trees()[1]["spec"]["template"]["spec"].contains("initContainers"));
  const std::string quiet =
      std::string("kind: Namespace\nmetadata: {name: default}\n---\n") + kManifests;
  ASSERT_EQ(run(explain_command, quiet), 0);
  EXPECT_THAT(out_, HasSubstr("Deployment default/web: would not be injected"));
  ASSERT_EQ(run(inject_command, quiet), 0);
  EXPECT_FALSE(trees()[2]["spec"]["template"]["spec"].contains("initContainers"));
}

constexpr auto kFaults = R"(kind: Pod
metadata: {name: a}
spec: {containers: [{name: a}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: sum}
spec: {template: {metadata: foo, spec: {containers: [{name: a}]}}}
---
kind: Deployment
metadata: {name: torn}
spec:
  template: [
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: data}
spec: {template: none}
---
kind: Pod
metadata: {name: z}
spec: {containers: [{name: a}]}
)";

TEST_F(Offline, AFaultNamesItsDocumentAndTheRestGoesOn) {
  EXPECT_EQ(run(inject_command, kFaults), 1);
  const std::string file = folder_ + "/in.yaml: document ";
  EXPECT_THAT(
      err_,
      AllOf(HasSubstr(file +
                      "2: Job default/sum: sidetap: not injected: metadata is not an object\n"),
            HasSubstr(file + "3: Deployment torn: no YAML: "),
            HasSubstr(file +
                      "4: StatefulSet data/db: not injected: spec.template is not a mapping\n")));
  EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 3) << err_;
  // What cannot be read stands there as it did.
  EXPECT_THAT(
      out_,
      HasSubstr("---\nkind: Deployment\nmetadata: {name: torn}\nspec:\n  template: [\n---\n"));
  const auto documents = yaml::read_documents(out_, yaml::Repeated::kRefuse);
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->all.size(), 5U);
  EXPECT_TRUE(documents->all[0].tree["spec"].contains("initContainers"));
  EXPECT_EQ(documents->all[1].tree["spec"]["template"]["metadata"], "foo");
  EXPECT_TRUE(documents->all[4].tree["spec"].contains("initContainers"));

  EXPECT_EQ(run(explain_command, kFaults), 1);
  EXPECT_THAT(err_, HasSubstr(file + "3: Deployment torn: no YAML: "));
  EXPECT_THAT(out_,
              AllOf(HasSubstr("Pod default/a: would be injected"),
                    HasSubstr("Job default/sum: would not be injected"), HasSubstr("unusable-pod"),
                    HasSubstr("Pod default/z: would be injected")));
}

TEST_F(Offline, EveryKindOfMetadataIsSurvived) {
  for (const std::string metadata : {"foo", "[]", "7", "null", "{annotations: x}", "{labels: []}",
                                     "{annotations: null}", "{ownerReferences: {}}"})
    for (const std::string kind : {"Job", "Deployment", "Pod"}) {
      const std::string pod = "{metadata: " + metadata + ", spec: {containers: [{name: a}]}}";
      const std::string text = kind == "Pod"
                                   ? "{kind: Pod, " + pod.substr(1)
                                   : "{kind: " + kind + ", spec: {template: " + pod + "}}";
      EXPECT_EQ(run(inject_command, text + "\n"), 0) << text << err_;
      EXPECT_EQ(run(explain_command, text + "\n"), 0) << text << err_;
    }
}

TEST_F(Offline, JsonDocumentsMayFollowEachOther) {
  const std::string pod = R"({"kind":"Pod","spec":{"containers":[{"name":"a"}]}})";
  ASSERT_EQ(run(inject_command, pod + "\n" + pod), 0) << err_;
  const auto documents = yaml::read_documents(out_, yaml::Repeated::kRefuse);
  ASSERT_TRUE(documents && documents->json);
  ASSERT_EQ(documents->all.size(), 2U);
  EXPECT_TRUE(documents->all[1].tree["spec"].contains("initContainers"));
}

// A tap's CPU would scale the application.
TEST_F(Offline, AnAutoscalerThatSumsAllContainersIsWarnedOf) {
  const auto with = [](const std::string& spec, const std::string& more = "") {
    return std::string(kManifests) +
           "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h" +
           more + "}\nspec: {scaleTargetRef: {kind: Deployment, name: web}" + spec + "}\n";
  };
  const std::string of_container =
      ", metrics: [{type: ContainerResource, containerResource: "
      "{name: cpu, container: web}}]";
  const std::string of_pod =
      ", metrics: [{type: Resource, resource: {name: cpu}}, "
      "{type: Resource, resource: {name: memory}}, {type: Pods}]";
  ASSERT_EQ(run(inject_command, with(of_pod)), 0);
  EXPECT_THAT(err_,
              AllOf(HasSubstr("document 2: Deployment default/web: sidetap: "
                              "HorizontalPodAutoscaler h scales by the cpu and memory of all"),
                    HasSubstr("ContainerResource")));
  EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
  ASSERT_EQ(run(explain_command, with(of_pod)), 0);
  EXPECT_THAT(out_, HasSubstr("  warning: sidetap: HorizontalPodAutoscaler h scales by"));
  for (const std::string& spec :
       {std::string(), std::string(", targetCPUUtilizationPercentage: 80")}) {
    ASSERT_EQ(run(inject_command, with(spec)), 0);
    EXPECT_THAT(err_, HasSubstr("scales by the cpu of all")) << spec;
  }
  ASSERT_EQ(run(inject_command, with(of_container)), 0);
  EXPECT_EQ(err_, "");
  ASSERT_EQ(run(inject_command, with(of_pod, ", namespace: other")), 0);
  EXPECT_EQ(err_, "") << "another Deployment";
  ASSERT_EQ(run(inject_command, with(of_pod), {"--namespace-labels", "a=b"}), 0);
  EXPECT_EQ(err_, "") << "not injected";
  const std::string keda = std::string(kManifests) +
                           "---\nkind: ScaledObject\nmetadata: {name: k}\nspec: {scaleTargetRef: "
                           "{name: web}, triggers: [{type: cpu, metadata: {value: '5'}}]}\n";
  ASSERT_EQ(run(inject_command, keda), 0);
  EXPECT_THAT(err_,
              AllOf(HasSubstr("ScaledObject k scales by the cpu"), HasSubstr("containerName")));
}

}  // namespace
}  // namespace sidetap::offline
