#include "webhook/serve/configuration_store.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::webhook {
namespace {

using testing::HasSubstr;

class ConfigurationStoreTest : public testing::Test {
 protected:
  ConfigurationStore store(const std::string& path) {
    return {path,
            [this](const std::optional<std::string>& text,
                   const std::string& registry_ca) -> Result<InForce> {
              ++made_;
              const std::string name = text.value_or("defaults") + registry_ca;
              if (name.starts_with("bad")) return Error{"it is bad"};
              configuration::Configuration told;
              told.generation = name.size();
              InForce made;
              made.profiles = std::make_shared<const profiles::Profiles>(told);
              made.review = [name](std::string_view, Route) {
                admission::Answer outcome;
                outcome.body = name;
                return outcome;
              };
              return made;
            },
            [this](const std::string& ca) -> Result<void> {
              if (ca.find(signs_) != ca.npos) return {};
              return Error{"it has not signed the certificate"};
            }};
  }
  static std::string answer(const ConfigurationStore& store) {
    return store.review("", Route{}).body;
  }
  const std::string ca_ = testing_support::make_ca("registry").certificate;
  std::string signs_ = ca_;  // the registry's certificate
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

TEST_F(ConfigurationStoreTest, ProfilesComeIntoForceWithTheirFile) {
  auto configuration = store(folder_.write("config", "one"));
  EXPECT_EQ(configuration.profiles(), nullptr);
  ASSERT_TRUE(configuration.reload());
  const auto first = configuration.profiles();
  EXPECT_EQ(first->generation(), 3u);
  folder_.write("config", "bad");
  ASSERT_FALSE(configuration.reload());
  EXPECT_EQ(configuration.profiles(), first);
  folder_.write("config", "three");
  ASSERT_TRUE(configuration.reload());
  EXPECT_EQ(configuration.profiles()->generation(), 5u);
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
  ASSERT_TRUE(configuration.set_registry_ca(ca_, "here"));
  EXPECT_EQ(answer(configuration), "one" + ca_);
  ASSERT_TRUE(configuration.set_registry_ca(ca_, "here"));
  EXPECT_EQ(configuration.generation(), 2u);
}

TEST_F(ConfigurationStoreTest, ABadAuthorityLeavesTheOldInForceAndIsOneFault) {
  auto configuration = store(folder_.write("config", "one"));
  const std::string path = folder_.write("ca", ca_);
  ASSERT_TRUE(configuration.reload_registry_ca(path));
  ASSERT_TRUE(configuration.reload());
  const std::string damaged = ca_.substr(0, ca_.size() / 2);
  std::uint64_t faults = 0;
  for (const std::string& bad : {std::string("garbage"), std::string(), damaged}) {
    folder_.write("ca", bad);
    const auto failed = configuration.reload_registry_ca(path);
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().text, HasSubstr(path));
    EXPECT_FALSE(configuration.reload_registry_ca(path));
    EXPECT_EQ(answer(configuration), "one" + ca_);
    EXPECT_EQ(configuration.registry_ca(), ca_);
    EXPECT_EQ(configuration.failures(), ++faults);
  }
  // What is followed besides it goes on.
  folder_.write("config", "two");
  ASSERT_TRUE(configuration.reload());
  EXPECT_EQ(answer(configuration), "two" + ca_);
  EXPECT_EQ(configuration.failures(), faults);
}

TEST_F(ConfigurationStoreTest, AnAuthorityThatDoesNotVerifyTheRegistryLeavesTheOldInForce) {
  auto configuration = store(folder_.write("config", "one"));
  const std::string path = folder_.write("ca", ca_);
  ASSERT_TRUE(configuration.reload_registry_ca(path));
  ASSERT_TRUE(configuration.reload());
  const std::string other = testing_support::make_ca("other").certificate;
  folder_.write("ca", other);
  for (int i = 0; i < 2; ++i) {
    const auto failed = configuration.reload_registry_ca(path);
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().text, HasSubstr(path + ": it has not signed"));
  }
  EXPECT_EQ(answer(configuration), "one" + ca_);
  EXPECT_EQ(configuration.registry_ca(), ca_);
  EXPECT_EQ(configuration.failures(), 1u);
  folder_.write("ca", other + ca_);
  ASSERT_TRUE(configuration.reload_registry_ca(path)) << "both, for a rotation";
  signs_ = other;
  folder_.write("ca", other);
  ASSERT_TRUE(configuration.reload_registry_ca(path)) << "the certificate has followed";
  EXPECT_EQ(answer(configuration), "one" + other);
}

TEST_F(ConfigurationStoreTest, TheFirstAuthorityIsTakenForThereIsNoOther) {
  signs_ = "nothing yet";
  auto configuration = store(folder_.write("config", "one"));
  ASSERT_TRUE(configuration.set_registry_ca(ca_, "here"));
  ASSERT_TRUE(configuration.set_registry_ca(ca_, "here")) << "nor is it new";
  EXPECT_EQ(configuration.failures(), 0u);
}

TEST_F(ConfigurationStoreTest, AnAuthorityIsTakenThoughTheFileHasTurnedBad) {
  auto configuration = store(folder_.write("config", "one"));
  ASSERT_TRUE(configuration.reload());
  folder_.write("config", "bad");
  ASSERT_TRUE(configuration.set_registry_ca(ca_, "here"));
  EXPECT_EQ(answer(configuration), "one" + ca_);
}

TEST_F(ConfigurationStoreTest, AMissingFileIsAFault) {
  auto configuration = store((folder_.path() / "none").string());
  EXPECT_FALSE(configuration.reload());
  EXPECT_EQ(configuration.failures(), 1u);
}

TEST_F(ConfigurationStoreTest, AFileThatCannotBeReadIsAFaultLikeAnyOther) {
  const std::string path = folder_.write("config", "one");
  auto configuration = store(path);
  ASSERT_TRUE(configuration.reload());
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  const auto failed = configuration.reload();
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr(path));
  EXPECT_EQ(answer(configuration), "one");
  EXPECT_EQ(configuration.failures(), 1u);
  std::filesystem::remove(path);
  folder_.write("config", "two");
  ASSERT_TRUE(configuration.reload());
  EXPECT_EQ(answer(configuration), "two");
}

}  // namespace
}  // namespace sidetap::webhook
