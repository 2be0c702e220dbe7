#include "shared/http/file_watch.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"

namespace sidetap::http {
namespace {

namespace fs = std::filesystem;

class FileWatchTest : public testing::Test {
 protected:
  /// Watches `file`, makes `change` and waits until it is told.
  [[nodiscard]] bool hears(const fs::path& file, const std::function<void()>& change,
                           FileWatchTiming timing = {std::chrono::milliseconds(1),
                                                     std::chrono::hours(1)}) {
    boost::asio::io_context context;
    bool told = false;
    FileWatch watch(
        context.get_executor(), {file.string()},
        [&] {
          told = true;
          context.stop();
        },
        timing);
    watch.start();
    change();
    context.run_for(std::chrono::seconds(10));
    return told;
  }
  testing_support::TemporaryFolder folder_;
};

TEST_F(FileWatchTest, HearsAFileWritten) {
  const std::string file = folder_.write("a", "1");
  EXPECT_TRUE(hears(file, [&] { folder_.write("a", "2"); }));
}

TEST_F(FileWatchTest, HearsAFileAppear) {
  EXPECT_TRUE(hears(folder_.path() / "new", [&] { folder_.write("new", "2"); }));
}

TEST_F(FileWatchTest, HearsAFileRenamedOverTheOld) {
  const std::string file = folder_.write("a", "1");
  const std::string other = folder_.write("b", "2");
  EXPECT_TRUE(hears(file, [&] { fs::rename(other, file); }));
}

// As the kubelet does: tls.crt -> ..data/tls.crt, ..data -> ..one, and ..data turned by a rename.
TEST_F(FileWatchTest, HearsKubernetesTurnTheLinkOfAMountedSecret) {
  const fs::path& root = folder_.path();
  fs::create_directory(root / "..one");
  fs::create_directory(root / "..two");
  std::ofstream(root / "..one/tls.crt") << "1";
  std::ofstream(root / "..two/tls.crt") << "2";
  fs::create_directory_symlink("..one", root / "..data");
  fs::create_symlink("..data/tls.crt", root / "tls.crt");
  EXPECT_TRUE(hears(root / "tls.crt", [&] {
    fs::create_directory_symlink("..two", root / "..data_tmp");
    fs::rename(root / "..data_tmp", root / "..data");
  }));
}

TEST_F(FileWatchTest, LooksFromTimeToTimeWhereNothingIsTold) {
  EXPECT_TRUE(hears("/nonexistent/folder/file", [] {},
                    {std::chrono::milliseconds(1), std::chrono::milliseconds(10)}));
}

TEST_F(FileWatchTest, FollowsAFolderThatIsMadeAnew) {
  const fs::path inner = folder_.path() / "inner";
  fs::create_directory(inner);
  boost::asio::io_context context;
  int told = 0;
  FileWatch watch(context.get_executor(), {(inner / "file").string()},
                  [&] {
                    if (++told == 1) fs::create_directory(inner);
                    if (fs::exists(inner / "file")) context.stop();
                    if (told == 2) std::ofstream(inner / "file") << "1";
                  },
                  {std::chrono::milliseconds(1), std::chrono::milliseconds(50)});
  watch.start();
  fs::remove(inner);
  context.run_for(std::chrono::seconds(10));
  EXPECT_TRUE(context.stopped());
  EXPECT_TRUE(fs::exists(inner / "file"));
}

TEST_F(FileWatchTest, WhatIsThrownEndsNeitherTheFollowingNorTheProgram) {
  boost::asio::io_context context;
  int told = 0;
  FileWatch watch(context.get_executor(), {(folder_.path() / "a").string()},
                  [&] {
                    if (++told == 1) throw std::runtime_error("cannot be read");
                    context.stop();
                  },
                  {std::chrono::milliseconds(1), std::chrono::milliseconds(10)});
  watch.start();
  context.run_for(std::chrono::seconds(10));
  EXPECT_EQ(told, 2);
}

TEST_F(FileWatchTest, StoppedItTellsNothingAndLeavesNothingBehind) {
  boost::asio::io_context context;
  int told = 0;
  {
    FileWatch watch(context.get_executor(), {(folder_.path() / "a").string()}, [&] { ++told; },
                    {std::chrono::milliseconds(1), std::chrono::milliseconds(1)});
    watch.start();
    context.poll();
  }
  told = 0;
  folder_.write("a", "1");
  context.run();  // Returns only when nothing waits any more.
  EXPECT_EQ(told, 0);
}

}  // namespace
}  // namespace sidetap::http
