#include "sidecar/system/memory_limit.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace sidetap {
namespace {

namespace fs = std::filesystem;

/// A root with /proc and /sys of its own.
class MemoryLimitTest : public testing::Test {
 protected:
  MemoryLimitTest() {
    std::string path = (fs::temp_directory_path() / "memory-limit-XXXXXX").string();
    root_ = mkdtemp(path.data());
  }
  ~MemoryLimitTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const fs::path file = root_ + path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::optional<std::uint64_t> limit() const { return memory_limit(root_); }

  std::string root_;
};

TEST_F(MemoryLimitTest, OfVersion2AsAContainerSeesIt) {
  write("/proc/self/cgroup", "0::/\n");
  EXPECT_FALSE(limit());
  write("/sys/fs/cgroup/memory.max", "max\n");
  EXPECT_FALSE(limit());
  write("/sys/fs/cgroup/memory.max", "100663296\n");
  EXPECT_EQ(limit(), 100663296U);
}

TEST_F(MemoryLimitTest, OfAGroupAndThoseAboveItTheLowestCounts) {
  write("/proc/self/cgroup", "0::/pods/one/tap\n");
  write("/sys/fs/cgroup/pods/one/tap/memory.max", "3000\n");
  EXPECT_EQ(limit(), 3000U);
  write("/sys/fs/cgroup/pods/memory.max", "2000\n");
  EXPECT_EQ(limit(), 2000U);
  write("/sys/fs/cgroup/pods/one/memory.max", "2500\n");
  EXPECT_EQ(limit(), 2000U);
}

TEST_F(MemoryLimitTest, OfVersion1) {
  write("/proc/self/cgroup", "9:name=systemd:/x\n4:cpuset,memory:/pods/one\n1:cpu:/\n0::/\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(limit());
  write("/sys/fs/cgroup/memory/pods/one/memory.limit_in_bytes", "67108864\n");
  EXPECT_EQ(limit(), 67108864U);
}

TEST_F(MemoryLimitTest, WhatIsNoNumberIsNoLimit) {
  write("/proc/self/cgroup", "nonsense\n0::\n0:memory\n3:memory:relative\n0::/a\n");
  write("/sys/fs/cgroup/memory.max", "-1\n");
  write("/sys/fs/cgroup/a/memory.max", "12 apples");
  EXPECT_EQ(limit(), 12U) << "the first word is the number";
  write("/sys/fs/cgroup/a/memory.max", "12x");
  EXPECT_FALSE(limit());
}

TEST(MemoryLimit, CanBeAskedForHere) { (void)memory_limit(); }

}  // namespace
}  // namespace sidetap
