// The options of self-managed certificates.
#include "webhook/certificates/options.h"

#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/config/options.h"

namespace sidetap::certificates {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SelfManaged : public testing::Test {
 protected:
  /// The reason of a refusal; empty if the arguments are accepted.
  std::string parse(const std::vector<const char*>& arguments) {
    config::OptionSet options("certs", "");
    declare_self_managed(options, wanted_);
    const auto parsed = options.try_parse(
        arguments, [](const std::string&) { return std::optional<std::string>(); });
    return parsed ? std::string() : parsed.error().text;
  }

  SelfManagedOptions wanted_;
};

TEST_F(SelfManaged, ThereAreNoCollectorsUnlessTheirSecretIsNamed) {
  EXPECT_EQ(parse({}), "");
  EXPECT_THAT(keeper_config(wanted_, "ns").collector_secret, IsEmpty());
  EXPECT_EQ(parse({"--certs-collector-secret", "packets", "--certs-collector-services", "a,b"}),
            "");
  const KeeperConfig config = keeper_config(wanted_, "ns");
  EXPECT_EQ(config.collector_secret, "packets");
  EXPECT_THAT(config.collector_services, ElementsAre("a", "b"));
}

TEST_F(SelfManaged, NamesThatNoObjectCanHaveAreRefused) {
  EXPECT_THAT(parse({"--certs-collector-secret", "a,b"}), HasSubstr("--certs-collector-secret"));
  EXPECT_THAT(parse({"--certs-collector-services", "A"}), HasSubstr("lower case letters"));
}

}  // namespace
}  // namespace sidetap::certificates
