#include "webhook/registry/identities.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "shared/read_file.h"
#include "tests/support/addresses.h"
#include "tests/support/certificates.h"

namespace sidetap::webhook::registry {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class IdentitiesTest : public testing::Test {
 protected:
  void start(IdentityConfig config) {
    config.pace = milliseconds(10);
    identities_.emplace(
        context_.get_executor(), std::move(config), 7,
        [](identity::ConnectionId) { return std::optional(Identities::Clock::now()); }, metrics_);
    identities_->start();
  }
  IdentityConfig with_files() const {
    IdentityConfig config;
    config.folder = folder_.path().string();
    return config;
  }
  static kube::TokenIdentity web(const std::string& uid) {
    kube::TokenIdentity who;
    who.name_space = "shop";
    who.pod_name = "web-1";
    who.pod_uid = uid;
    who.node_name = "n1";
    return who;
  }
  void run_for(milliseconds time) {
    context_.restart();
    context_.run_for(time);
  }
  /// Within ten seconds.
  [[nodiscard]] bool comes_true(const std::function<bool()>& condition) {
    for (int i = 0; i < 1'000; ++i) {
      if (condition()) return true;
      run_for(milliseconds(10));
    }
    return false;
  }
  /// Empty if there is none.
  std::string file(const char* name) const {
    const auto text = read_file((folder_.path() / name).string());
    return text ? *text : "";
  }
  [[nodiscard]] bool comes_to_hold(const char* name, const std::string& part) {
    return comes_true([&] { return file(name).find(part) != std::string::npos; });
  }

  testing_support::TemporaryFolder folder_;
  telemetry::MetricsRegistry metrics_;
  boost::asio::io_context context_;
  std::optional<Identities> identities_;
};

TEST_F(IdentitiesTest, FilesFollowWhatIsProved) {
  start(with_files());
  EXPECT_TRUE(comes_to_hold("identities.tsv", "#fields\tip\tpod"));
  EXPECT_EQ(file("identities.jsonl"), "");
  identities_->proved(1, web("u-1"), {ip("10.0.0.5")});
  EXPECT_TRUE(comes_to_hold("identities.tsv", "10.0.0.5\tweb-1\tshop\tu-1\tn1\n"));
  EXPECT_THAT(file("identities.jsonl"), HasSubstr(R"("to":null)"));
  identities_->proved(2, web("u-2"), {ip("10.0.0.5")});
  EXPECT_TRUE(comes_to_hold("identities.tsv", "u-2"));
  EXPECT_THAT(file("identities.jsonl"), testing::Not(HasSubstr("u-1")));
  identities_->ended(2, Identities::Clock::now());
  EXPECT_TRUE(comes_to_hold("identities.jsonl", R"("to":"2)"));
  EXPECT_TRUE(comes_true([&] { return file("identities.tsv").find("u-2") == std::string::npos; }));
}

TEST_F(IdentitiesTest, AnEndThatIsNoLongerRecentLeavesTheFilesButNotTheLedger) {
  IdentityConfig config = with_files();
  config.recent = milliseconds(300);
  start(config);
  identities_->proved(1, web("u-1"), {ip("10.0.0.5")});
  EXPECT_TRUE(comes_to_hold("identities.jsonl", "10.0.0.5"));
  identities_->ended(1, Identities::Clock::now());
  EXPECT_TRUE(comes_true([&] { return file("identities.jsonl").empty(); }));
  EXPECT_EQ(identities_->ledger().ended(), 1u);
}

TEST_F(IdentitiesTest, WithoutAChangeNothingIsWritten) {
  start(with_files());
  identities_->proved(1, web("u-1"), {ip("10.0.0.5")});
  EXPECT_TRUE(comes_to_hold("identities.tsv", "10.0.0.5"));
  const auto written_at = [this] {
    struct stat status {};
    EXPECT_EQ(::stat((folder_.path() / "identities.tsv").c_str(), &status), 0);
    return std::pair(status.st_ino, status.st_mtim.tv_nsec);
  };
  const auto before = written_at();
  identities_->proved(1, web("u-1"), {ip("10.0.0.5")});
  run_for(milliseconds(100));
  EXPECT_EQ(written_at(), before);
}

TEST_F(IdentitiesTest, AFaultIsCountedAndTheFilesAreTriedAgain) {
  IdentityConfig config = with_files();
  config.folder += "/later";
  start(config);
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_identity_file_failures_total 0"));
  EXPECT_TRUE(comes_true([&] {
    return metrics_.text().find("sidetap_identity_file_failures_total 0") == std::string::npos;
  }));
  std::filesystem::create_directory(config.folder);
  EXPECT_TRUE(comes_to_hold("later/identities.tsv", "#fields"));
}

TEST_F(IdentitiesTest, WhoseUidIsNotSaidIsNotKept) {
  start({});
  identities_->proved(1, web(""), {ip("10.0.0.5")});
  identities_->proved(2, web("u-1"), {ip("10.0.0.6")});
  identities_->ended(2, Identities::Clock::now());
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_identity_tenures{state=\"held\"} 0"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_identity_tenures{state=\"ended\"} 1"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_identity_changes_total 2"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_identity_dropped_total 0"));
}

}  // namespace
}  // namespace sidetap::webhook::registry
