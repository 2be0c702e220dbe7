#include "webhook/offline/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/review_builder.h"

namespace sidetap::offline {
namespace {

using testing::ElementsAre;

std::vector<std::string> found(const std::string& json) {
  Tree document = Tree::parse(json);
  std::vector<std::string> names;
  for (const PodPlace& place : find_pods(document))
    names.push_back(place.kind + "/" + place.name + (place.of_job ? " (job)" : ""));
  return names;
}

TEST(Documents, FindThePodTemplateOfEveryWorkload) {
  for (const std::string kind :
       {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"}) {
    EXPECT_THAT(found(R"({"kind":")" + kind +
                      R"(","metadata":{"name":"a"},"spec":{"template":{"spec":{}}}})"),
                ElementsAre(kind + "/a"));
  }
  EXPECT_THAT(found(R"({"kind":"Job","metadata":{"generateName":"j-"},"spec":{"template":{}}})"),
              ElementsAre("Job/j- (job)"));
  EXPECT_THAT(found(R"({"kind":"CronJob","metadata":{"name":"c"},
                        "spec":{"jobTemplate":{"spec":{"template":{"spec":{}}}}}})"),
              ElementsAre("CronJob/c (job)"));
  EXPECT_THAT(found(R"({"kind":"PodTemplate","metadata":{"name":"t"},"template":{"spec":{}}})"),
              ElementsAre("PodTemplate/t"));
  EXPECT_THAT(found(R"({"kind":"Rollout","metadata":{"name":"r"},
                        "spec":{"template":{"spec":{"containers":[{}]}}}})"),
              ElementsAre("Rollout/r"));
}

TEST(Documents, FindPodsInLists) {
  EXPECT_THAT(found(R"({"kind":"List","items":[
                {"kind":"Pod","metadata":{"name":"a"},"spec":{}},
                {"kind":"ConfigMap","metadata":{"name":"b"}},
                {"kind":"PodList","items":[{"kind":"Pod","metadata":{"name":"c"},"spec":{}}]}]})"),
              ElementsAre("Pod/a", "Pod/c"));
}

TEST(Documents, KnowTheKindOfWhatATypedListHolds) {
  EXPECT_THAT(found(R"({"kind":"PodList","items":[{"metadata":{"name":"a"},"spec":{}}]})"),
              ElementsAre("Pod/a"));
  EXPECT_THAT(found(R"({"kind":"DeploymentList","items":[
                {"metadata":{"name":"b"},"spec":{"template":{}}}]})"),
              ElementsAre("Deployment/b"));
  EXPECT_THAT(found(R"({"kind":"JobList","items":[
                {"metadata":{"name":"c"},"spec":{"template":{}}}]})"),
              ElementsAre("Job/c (job)"));
  EXPECT_THAT(found(R"({"kind":"List","items":[{"metadata":{"name":"d"},"spec":{}}]})"),
              ElementsAre());
}

TEST(Documents, FindNothingInWhatHasNoPods) {
  for (const char* text : {"null", "[]", "7", R"({"kind":"Service","spec":{"template":1}})",
                           R"({"kind":"Deployment"})", R"({"kind":"Deployment","spec":[]})",
                           R"({"kind":"CronJob","spec":{"jobTemplate":7}})", R"({"items":[1]})"})
    EXPECT_THAT(found(text), ElementsAre()) << text;
}

TEST(Documents, TellTheLabelsOfTheirNamespaces) {
  std::vector<Tree> documents = {
      Tree::parse(R"({"kind":"Namespace","metadata":{"name":"a","labels":{"x":"1","y":2}}})"),
      Tree::parse(R"({"kind":"Namespace","metadata":{"name":"b"}})"), Tree()};
  documents.push_back(Tree::parse(R"({"kind":"List","items":[
      {"kind":"Namespace","metadata":{"name":"c","labels":{"z":"3"}}},
      {"kind":"NamespaceList","items":[{"metadata":{"name":"d"}}]}]})"));
  const auto labels = namespace_labels(documents);
  EXPECT_THAT(labels, ElementsAre(std::pair("a", Labels{{"x", "1"}}), std::pair("b", Labels()),
                                  std::pair("c", Labels{{"z", "3"}}), std::pair("d", Labels())));
}

TEST(Documents, AskTheEntryThatTheNamespacesLabelSays) {
  EXPECT_EQ(entry_of({}), admission::Entry::kPod);
  EXPECT_EQ(entry_of({{"sidetap.io/inject", "enabled"}}), admission::Entry::kNamespace);
  EXPECT_EQ(entry_of({{"sidetap.io/inject", "disabled"}}), admission::Entry::kDisabled);
  EXPECT_EQ(entry_of({{"sidetap.io/inject", "true"}}), admission::Entry::kDisabled);
}

TEST(Documents, SeeATemplateOfAJobAsItsPodsWillBe) {
  auto configuration = test::test_configuration();
  configuration.sidecar.native = configuration::Native::kNever;
  Tree job = Tree::parse(R"({"kind":"Job","metadata":{"name":"j"},
      "spec":{"template":{"spec":{"containers":[{"name":"a"}]}}}})");
  const auto places = find_pods(job);
  ASSERT_EQ(places.size(), 1U);
  const Tree before = job;
  const Labels enabled = {{"sidetap.io/inject", "enabled"}};
  EXPECT_EQ(admit_place(places[0], "shop", enabled, configuration).answer.reason,
            admission::Reason::kJobWithoutNative);
  configuration.injection.force_jobs = true;
  const auto answer = admit_place(places[0], "shop", enabled, configuration).answer;
  EXPECT_EQ(answer.action, admission::Action::kInject);
  EXPECT_EQ(job, before) << "the owner is invented for the review only";
  ASSERT_TRUE(apply(answer, *places[0].pod));
  const Tree& pod = job["spec"]["template"];
  EXPECT_EQ(pod["spec"]["containers"].size(), 2U);
  EXPECT_TRUE(pod["metadata"]["annotations"].contains("sidetap.io/status"));
  EXPECT_FALSE(pod["metadata"].contains("ownerReferences"));
}

}  // namespace
}  // namespace sidetap::offline
