// The kept inputs of the patch builder's fuzzer reach what a patch may hold.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fuzz/webhook_configuration.h"
#include "support/review_builder.h"

namespace sidetap {
namespace {

using admission::Action;
using test::Json;
using testing::HasSubstr;
using testing::SizeIs;

const std::string kCorpora = std::string(SIDETAP_SOURCE_DIR) + "/tests/fuzz/corpus/";

std::string read_seed(const std::string& file) {
  std::ifstream stream(kCorpora + file, std::ios::binary);
  EXPECT_TRUE(stream) << file;
  return {std::istreambuf_iterator<char>(stream), {}};
}

admission::Answer outcome_of(const std::string& seed) {
  return admit(test::review_of(Json::parse(read_seed("patch_builder/" + seed))).dump(),
               admission::Entry::kNamespace, fuzz::webhook_configuration());
}

std::string patch_of(const std::string& seed) {
  const admission::Answer outcome = outcome_of(seed);
  EXPECT_EQ(outcome.action, Action::kInject) << seed;
  return outcome.patch;
}

TEST(FuzzCorpus, ReachesEveryPartOfAPatch) {
  EXPECT_THAT(patch_of("native"), HasSubstr(R"("restartPolicy":"Always")"));
  EXPECT_THAT(patch_of("everything"), HasSubstr("/spec/initContainers/0"));
  EXPECT_THAT(patch_of("istio"), HasSubstr("/spec/initContainers/0"));
  EXPECT_THAT(patch_of("volumes"), HasSubstr("sidetap-token-3"));
  EXPECT_THAT(patch_of("secrets"), HasSubstr("/spec/imagePullSecrets/-"));
  EXPECT_THAT(patch_of("nothing_there"), HasSubstr(R"("path":"/metadata")"));
  EXPECT_THAT(patch_of("guaranteed"), HasSubstr(R"("requests":{"cpu":"500m","memory":"96Mi"})"));
  EXPECT_THAT(patch_of("pod_level"), HasSubstr(R"("limits":{"memory":"96Mi"})"));
  EXPECT_EQ(outcome_of("restore").action, Action::kRestore);
}

TEST(FuzzCorpus, ReachesEveryOverride) {
  const admission::Answer good = outcome_of("overrides");
  EXPECT_THAT(good.warnings, SizeIs(0)) << Json(good.warnings);
  for (const char* part :
       {"192.0.2.1:2003,[2001:db8::1]:7", R"("128")", "2e-1", "96Mi", "eth0,net1", R"("debug")",
        "registry.example.com:5000/tap:1@sha256", "/spec/containers/-",
        R"("PROFILE","value":"edge")", R"("not port 9100")", R"("filter,sampling,rate,pause")",
        R"("MESH","value":"both")"})
    EXPECT_THAT(good.patch, HasSubstr(part));
  EXPECT_THAT(outcome_of("bad_overrides").warnings, SizeIs(configuration::kOverrideCount + 1));
}

TEST(FuzzCorpus, OfTheDecoderReachesInjection) {
  for (const auto& entry : std::filesystem::directory_iterator(kCorpora + "patch_builder")) {
    const std::string name = entry.path().filename();
    if (!std::filesystem::exists(kCorpora + "review_decoder/" + name)) continue;
    const admission::Answer outcome =
        admit(read_seed("review_decoder/" + name), admission::Entry::kNamespace,
              fuzz::webhook_configuration());
    EXPECT_EQ(outcome.action, outcome_of(name).action) << name;
  }
}

}  // namespace
}  // namespace sidetap
