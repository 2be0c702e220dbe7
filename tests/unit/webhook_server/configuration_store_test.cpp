#include "webhook/configuration_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"

namespace sidetap::webhook {
namespace {

using testing::HasSubstr;

class ConfigurationStoreTest : public testing::Test {
 protected:
  ConfigurationStore store(const std::string& path) {
    return {path,
            [this](const std::optional<std::string>& text,
                   const std::string& registry_ca) -> Result<ReviewFunction> {
              ++made_;
              const std::string name = text.value_or("defaults") + registry_ca;
              if (name == "bad") return Error{"it is bad"};
              return ReviewFunction([name](std::string_view, admission::Rule) {
                Outcome outcome;
                outcome.body = name;
                return outcome;
              });
            }};
  }
  static std::string answer(const ConfigurationStore& store) {
    return store.review("", admission::Rule::kPod).body;
  }
  testing_support::TemporaryFolder folder_;
  int made_ = 0;
};

TEST_F(ConfigurationStoreTest, WithoutAFileTheDefaultsHold) {
  auto configuration = store("");
  ASSERT_TRUE(configuration.reload());
  ASSERT_TRUE(configuration.reload());
  EXPECT_EQ(answer(configuration), "defaults");
  EXPECT_EQ(configuration.generation(), 1u);
  EXPECT_EQ(made_, 1);
}

TEST_F(ConfigurationStoreTest, AChangedFileTakesThePlaceOfTheOld) {
  auto configuration = store(folder_.write("config", "one"));
  ASSERT_TRUE(configuration.reload());
  EXPECT_EQ(answer(configuration), "one");
  folder_.write("config", "two");
  ASSERT_TRUE(configuration.reload());
  ASSERT_TRUE(configuration.reload());
  EXPECT_EQ(answer(configuration), "two");
  EXPECT_EQ(configuration.generation(), 2u);
}

TEST_F(ConfigurationStoreTest, ABadFileLeavesTheOldInForceAndIsOneFault) {
  const std::string path = folder_.write("config", "one");
  auto configuration = store(path);
  ASSERT_TRUE(configuration.reload());
  folder_.write("config", "bad");
  const auto failed = configuration.reload();
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr(path + ": it is bad"));
  EXPECT_FALSE(configuration.reload());
  EXPECT_EQ(answer(configuration), "one");
  EXPECT_EQ(configuration.generation(), 1u);
  EXPECT_EQ(configuration.failures(), 1u);
}

TEST_F(ConfigurationStoreTest, TheRegistrysAuthorityIsPartOfIt) {
  auto configuration = store(folder_.write("config", "one"));
  ASSERT_TRUE(configuration.reload());
  configuration.set_registry_ca("+ca");
  EXPECT_EQ(answer(configuration), "one+ca");
  configuration.set_registry_ca("+ca");
  EXPECT_EQ(configuration.generation(), 2u);
}

TEST_F(ConfigurationStoreTest, AMissingFileIsAFault) {
  auto configuration = store((folder_.path() / "none").string());
  EXPECT_FALSE(configuration.reload());
  EXPECT_EQ(configuration.failures(), 1u);
}

}  // namespace
}  // namespace sidetap::webhook
