// Pairs of input and output for people to read. Regenerate them with apply_patches.py --write.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/review_builder.h"
#include "webhook/configuration/configuration_file.h"

namespace sidetap {
namespace {

using test::Json;

const std::string kFolder =
    std::string(SIDETAP_SOURCE_DIR) + "/tests/unit/webhook_injection/testdata/";

std::string read(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream) << path;
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> names() {
  constexpr std::string_view kEnding = ".review.json";
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(kEnding)) all.push_back(name.substr(0, name.size() - kEnding.size()));
  }
  return all;
}

class Golden : public testing::TestWithParam<std::string> {
 protected:
  static configuration::Configuration load() {
    std::string path = kFolder + GetParam() + ".config.yaml";
    if (!std::filesystem::exists(path)) path = kFolder + "default.config.yaml";
    auto configuration = configuration::load_configuration(path);
    EXPECT_TRUE(configuration) << configuration.error().text;
    return configuration ? *configuration : configuration::Configuration();
  }
  const configuration::Configuration configuration_ = load();
  Json review_ = Json::parse(read(kFolder + GetParam() + ".review.json"));
  const admission::Answer outcome_ =
      admit(review_.dump(), admission::Entry::kNamespace, configuration_);

  Json patched() const {
    const Json& pod = review_["request"]["object"];
    return outcome_.patch.empty() ? pod : pod.patch(Json::parse(outcome_.patch));
  }
};

TEST_P(Golden, PodComesOutAsWritten) {
  const Json golden = Json::parse(read(kFolder + GetParam() + ".golden.json"));
  EXPECT_EQ(patched(), golden["pod"]) << Json::diff(golden["pod"], patched()).dump(2);
  EXPECT_EQ(Json(outcome_.warnings), golden["warnings"]);
  EXPECT_EQ(golden["auditAnnotations"]["reason"], admission::reason_name(outcome_.reason));
}

TEST_P(Golden, PatchOnlyAdds) {
  if (outcome_.patch.empty()) return;
  for (const Json& operation : Json::parse(outcome_.patch)) EXPECT_EQ(operation["op"], "add");
}

// Every old value is still present, and all new values belong to the sidecar.
TEST_P(Golden, NothingIsLost) {
  const Json after = patched().flatten();
  const Json before = review_["request"]["object"].flatten();
  for (const auto& [pointer, value] : before.items()) {
    // The sidecar is the first init container: the others move by one.
    if (pointer.starts_with("/spec/initContainers/") && !outcome_.patch.empty()) continue;
    // An empty parent that the sidecar fills, and a list that the pod's own goes on.
    if (value.is_null() || value.is_structured()) continue;
    if (pointer.find("safe-to-evict") != pointer.npos) continue;
    ASSERT_TRUE(after.contains(pointer)) << pointer;
    EXPECT_EQ(after[pointer], value) << pointer;
  }
}

TEST_P(Golden, ThePatchOfThePatchedPodIsEmpty) {
  Json again = review_;
  again["request"]["object"] = patched();
  const admission::Answer second =
      admit(again.dump(), admission::Entry::kNamespace, configuration_);
  EXPECT_EQ(second.patch, "");
  if (outcome_.action == admission::Action::kInject) {
    EXPECT_EQ(second.reason, admission::Reason::kAlreadyInjected);
    EXPECT_TRUE(second.warnings.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Pairs, Golden, testing::ValuesIn(names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace sidetap
