#include "webhook/pods/pod.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::pods {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A pod and the document that its texts lie in.
class Document {
 public:
  explicit Document(const std::string& json) : pod_(read(parser_.parse(json).value())) {}
  const Pod* operator->() const { return &pod_; }
  const Pod& operator*() const { return pod_; }

 private:
  simdjson::dom::parser parser_;
  Pod pod_;
};

/// A pod with these members of its spec besides a container.
Document with_spec(const std::string& members) {
  return Document(R"({"spec":{"containers":[{"name":"app"}],)" + members + "}}");
}

TEST(Pod, OfTheLeastIsWithoutFault) {
  const Document pod(R"({"spec":{"containers":[{}]}})");
  EXPECT_THAT(pod->fault, IsEmpty());
  EXPECT_EQ(pod->containers().size(), 1U);
  EXPECT_TRUE(pod->init_containers().empty());
  EXPECT_FALSE(pod->has_metadata || pod->has_annotations || pod->has_init_containers);
  EXPECT_FALSE(pod->volumes.there || pod->image_pull_secrets.there);
  EXPECT_TRUE(pod->mounts_api_token);
  EXPECT_FALSE(pod->inject);
  EXPECT_FALSE(pod->owner);
}

TEST(Pod, NamesTheFirstFaultOfItsShape) {
  EXPECT_EQ(Document("7")->fault, "the object is not a pod");
  EXPECT_EQ(Document(R"({"spec":[]})")->fault, "the pod has no spec.containers");
  EXPECT_EQ(Document(R"({"spec":{"containers":[]},"metadata":7})")->fault,
            "the pod has no spec.containers");
  EXPECT_EQ(with_spec(R"("volumes":7,"initContainers":{})")->fault,
            "spec.initContainers is not a list");
  EXPECT_EQ(with_spec(R"("volumes":7)")->fault, "spec.volumes is not a list");
  EXPECT_EQ(with_spec(R"("imagePullSecrets":"x")")->fault, "spec.imagePullSecrets is not a list");
}

TEST(Pod, OfMoreContainersThanAPodCanHaveTakesNoMemory) {
  std::string numbers(2 * 65'536 + 1, '0');
  for (std::size_t i = 1; i < numbers.size(); i += 2) numbers[i] = ',';
  const std::string list = "[" + numbers + "]";
  for (const char* key : {"initContainers", "volumes", "imagePullSecrets"}) {
    const Document pod = with_spec("\"" + std::string(key) + "\":" + list);
    EXPECT_EQ(pod->fault, "a list in the pod's spec is longer than a pod can have") << key;
    EXPECT_TRUE(pod->all_containers.empty());
    EXPECT_TRUE(pod->volumes.all.empty());
  }
}

TEST(Pod, TellsAListThatIsEmptyFromNone) {
  const Document empty = with_spec(R"("initContainers":[],"volumes":[],"imagePullSecrets":[])");
  EXPECT_TRUE(empty->has_init_containers && empty->volumes.there &&
              empty->image_pull_secrets.there);
  const Document null = with_spec(R"("initContainers":null,"volumes":null)");
  EXPECT_FALSE(null->has_init_containers || null->volumes.there);
}

TEST(Pod, SaysWhoAsks) {
  const auto said = [](const std::string& metadata) {
    const Document pod(R"({"metadata":)" + metadata + "}");
    return std::string(pod->inject.value_or("nothing"));
  };
  EXPECT_EQ(said(R"({"annotations":{"sidetap.io/inject":"a"},"labels":{"sidetap.io/inject":"b"}})"),
            "a");
  EXPECT_EQ(said(R"({"annotations":{},"labels":{"sidetap.io/inject":"b"}})"), "b");
  EXPECT_EQ(
      said(R"({"annotations":{"sidetap.io/inject":null},"labels":{"sidetap.io/inject":"b"}})"),
      "b");
  EXPECT_EQ(said(R"({"annotations":{"sidetap.io/inject":true}})"), "no text");
  EXPECT_EQ(said(R"({"annotations":"sidetap.io/inject"})"), "nothing");
}

TEST(Pod, KeepsItsOverridesInOrder) {
  const Document pod(R"({"metadata":{"annotations":{
    "sidetap.io/snaplen":"1","other":"x","sidetap.io/status":"{}","sidetap.io/inject":"true",
    "sidetap.io/snaplen":"2","sidetap.io/native":true}}})");
  ASSERT_EQ(pod->overrides.size(), 3U);
  EXPECT_EQ(pod->overrides[0].value, "1");
  EXPECT_EQ(pod->overrides[1].value, "2");
  EXPECT_EQ(pod->overrides[2].key, "sidetap.io/native");
  EXPECT_EQ(pod->overrides[2].value, "") << "no text";
  EXPECT_TRUE(pod->has_status);
}

TEST(Pod, OfSeveralMembersWithOneNameTakesTheFirst) {
  const Document pod(R"({"metadata":{"labels":{"a":"1","a":"2","b":null,"b":"3"}},
    "spec":{"hostNetwork":true,"hostNetwork":false}})");
  EXPECT_EQ(pod->label("a"), "1");
  EXPECT_EQ(pod->label("b"), std::nullopt);
  EXPECT_EQ(pod->label("c"), std::nullopt);
  EXPECT_TRUE(pod->host_network);
}

TEST(Pod, IsOwnedByItsControllerOrElseByTheFirst) {
  const Document two(R"({"metadata":{"ownerReferences":[
    {"kind":"A","name":"x"},{"kind":"B","name":"y","controller":true}]}})");
  EXPECT_EQ(two->owner->kind, "B");
  EXPECT_EQ(two->owner->name, "y");
  const Document job(R"({"metadata":{"ownerReferences":[
    {"kind":"Job","name":"x","apiVersion":"batch/v1"},{"kind":"Job","apiVersion":"own/v1"}]}})");
  EXPECT_EQ(job->owner->name, "x");
  EXPECT_TRUE(job->of_job);
  EXPECT_FALSE(
      Document(R"({"metadata":{"ownerReferences":[{"kind":"Job","apiVersion":"own/v1"}]}})")
          ->of_job);
}

TEST(Pod, GathersThePortsOfAllContainersInOrder) {
  const Document pod = with_spec(R"("initContainers":[{"ports":[
    {"containerPort":9},{"containerPort":7},{"containerPort":"x"},{}]}])");
  EXPECT_THAT(pod->ports, ElementsAre(7, 9));
}

TEST(Pod, ReadsAmountsAsTextAndAsNumber) {
  const Document pod(R"({"spec":{"containers":[{"resources":{
    "requests":{"cpu":"500m","memory":"lots"},"limits":{"cpu":1,"memory":null}}}]}})");
  const Container& container = pod->containers()[0];
  EXPECT_EQ(container.cpu.request, 0.5);
  EXPECT_EQ(container.cpu.limit, 1.0);
  EXPECT_EQ(container.memory.request, 0.0) << "given, but no quantity";
  EXPECT_EQ(container.memory.limit, std::nullopt);
}

TEST(Pod, FindsTheContainersOfEachKind) {
  const Document pod(R"({"spec":{
    "initContainers":[{"name":"first","restartPolicy":"Always"},{"name":"second"}],
    "containers":[{"name":"app"}]}})");
  ASSERT_EQ(pod->init_containers().size(), 2U);
  EXPECT_EQ(pod->init_containers()[0].name, "first");
  EXPECT_TRUE(pod->init_containers()[0].has_restart_policy);
  EXPECT_FALSE(pod->init_containers()[1].has_restart_policy);
  ASSERT_EQ(pod->containers().size(), 1U);
  EXPECT_EQ(pod->containers()[0].name, "app");
}

}  // namespace
}  // namespace sidetap::pods
