#include "shared/kube/credentials.h"

#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"

namespace sidetap::kube {
namespace {

class InCluster : public testing::Test {
 protected:
  InCluster() {
    folder_.write("namespace", "sidetap-system\n");
    folder_.write("token", "secret");
    folder_.write("ca.crt", "pem");
  }
  Result<Credentials> read() {
    return in_cluster_credentials(
        [this](const std::string& name) -> std::optional<std::string> {
          const auto found = environment_.find(name);
          if (found == environment_.end()) return std::nullopt;
          return found->second;
        },
        folder_.path().string());
  }
  std::map<std::string, std::string> environment_ = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"},
                                                     {"KUBERNETES_SERVICE_PORT", "443"}};
  testing_support::TemporaryFolder folder_;
};

TEST_F(InCluster, ComeFromEnvironmentAndServiceAccount) {
  const auto credentials = read();
  ASSERT_TRUE(credentials) << credentials.error().text;
  EXPECT_EQ(credentials->server.to_string(), "10.96.0.1:443");
  EXPECT_EQ(credentials->pod_namespace, "sidetap-system");
}

TEST_F(InCluster, Ipv6ServerIsWrittenWithoutBracketsByTheKubelet) {
  environment_["KUBERNETES_SERVICE_HOST"] = "fd00:10:96::1";
  EXPECT_EQ(read()->server.to_string(), "[fd00:10:96::1]:443");
}

TEST_F(InCluster, ErrorsNameWhatIsMissing) {
  std::filesystem::remove(folder_.path() / "token");
  EXPECT_THAT(read().error().text, testing::HasSubstr("token"));
  environment_.clear();
  EXPECT_THAT(read().error().text, testing::HasSubstr("not in a cluster"));
}

TEST_F(InCluster, AFileThatCannotBeReadIsAnErrorLikeAMissingOne) {
  std::filesystem::remove(folder_.path() / "token");
  std::filesystem::create_directory(folder_.path() / "token");
  const auto credentials = read();
  ASSERT_FALSE(credentials);
  EXPECT_THAT(credentials.error().text, testing::HasSubstr("token"));
}

}  // namespace
}  // namespace sidetap::kube
