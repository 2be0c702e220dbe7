#include "webhook/registry/identity_files.h"

#include <atomic>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "shared/read_file.h"
#include "tests/support/addresses.h"
#include "tests/support/certificates.h"

namespace sidetap::webhook::registry {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class IdentityFiles : public testing::Test {
 protected:
  std::string folder() const { return folder_.path().string(); }
  std::string read(const char* name) const { return read_file(folder() + "/" + name).value(); }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
  }
  testing_support::TemporaryFolder folder_;
};

TEST_F(IdentityFiles, HoldWhatTheTenuresSay) {
  const auto pod =
      std::make_shared<const identity::Pod>(identity::Pod{"shop", "web-1", "u-1", "n1"});
  const identity::Time from(std::chrono::milliseconds(1'767'323'045'678));
  ASSERT_TRUE(write_identity_files(folder(),
                                   {{ip("10.0.0.5"), pod, from, std::nullopt},
                                    {ip("10.0.0.6"), pod, from, from + std::chrono::seconds(1)}}));
  EXPECT_EQ(read("identities.jsonl"),
            R"({"ip":"10.0.0.5","namespace":"shop","pod":"web-1","uid":"u-1","node":"n1",)"
            R"("from":"2026-01-02T03:04:05.678Z","to":null})"
            "\n"
            R"({"ip":"10.0.0.6","namespace":"shop","pod":"web-1","uid":"u-1","node":"n1",)"
            R"("from":"2026-01-02T03:04:05.678Z","to":"2026-01-02T03:04:06.678Z"})"
            "\n");
  EXPECT_EQ(read("identities.tsv"),
            "#fields\tip\tpod\tnamespace\tuid\tnode\n10.0.0.5\tweb-1\tshop\tu-1\tn1\n");
  EXPECT_EQ(files(), 2u);
}

TEST_F(IdentityFiles, EverybodyMayReadThemAndOnlyTheWebhookWritesThem) {
  const mode_t before = ::umask(0077);
  const auto outcome = replace_file(folder(), "f", "text");
  ::umask(before);
  ASSERT_TRUE(outcome);
  struct stat status {};
  ASSERT_EQ(::stat((folder() + "/f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0644u);
}

TEST_F(IdentityFiles, AFaultNamesTheFileAndLeavesNothingBehind) {
  const auto missing = replace_file(folder() + "/none", "f", "text");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().text, HasSubstr("/none/.f.new: No such file"));
  fs::create_directory(folder_.path() / "f");
  const auto occupied = replace_file(folder(), "f", "text");
  ASSERT_FALSE(occupied);
  EXPECT_THAT(occupied.error().text, HasSubstr("/f: "));
  EXPECT_EQ(files(), 1u);
}

TEST_F(IdentityFiles, AReaderNeverSeesHalfOfOne) {
  constexpr std::size_t kSize = 300'000;
  ASSERT_TRUE(replace_file(folder(), "f", std::string(kSize, 'a')));
  std::atomic<bool> done{false};
  std::thread writer([this, &done] {
    for (int i = 0; i < 200; ++i) {
      EXPECT_TRUE(replace_file(folder(), "f", std::string(kSize, i % 2 == 0 ? 'b' : 'a')));
    }
    done = true;
  });
  while (!done) {
    const std::string text = read("f");
    EXPECT_EQ(text.size(), kSize);
    EXPECT_EQ(text.find_first_not_of(text[0]), std::string::npos);
  }
  writer.join();
}

}  // namespace
}  // namespace sidetap::webhook::registry
