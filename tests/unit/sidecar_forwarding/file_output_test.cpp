#include "sidecar/forwarding/file_output.h"

#include <csignal>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace sidetap::forwarding {
namespace {

namespace fs = std::filesystem;

/// Limits the size of files that the process may write. For the output, that is a full disk.
class FileOutputTest : public testing::Test {
 protected:
  FileOutputTest() {
    folder_ = fs::temp_directory_path() / ("sidetap-files-" + std::to_string(getpid()));
    fs::create_directory(folder_);
    getrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileOutputTest() override {
    setrlimit(RLIMIT_FSIZE, &before_);
    fs::remove_all(folder_);
  }
  void disk_holds(rlim_t bytes) {
    const rlimit limit{bytes, before_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  void add(Output& output, unsigned count) {
    const std::vector<std::byte> bytes(1000);
    for (unsigned i = 0; i < count; ++i)
      output.add({.header = {.captured = 1000, .length = 1000}, .head = {}, .body = bytes});
  }
  std::unique_ptr<Output> output(unsigned files = 2) {
    return make_file_output(
        {.folder = folder_, .prefix = "p", .files = files, .probe_interval = {}},
        [this](const std::string& reason) {
          ++faults_;
          reason_ = reason;
        },
        [this] { ++recoveries_; });
  }
  std::uintmax_t size(const char* name) const { return fs::file_size(folder_ / name); }

  fs::path folder_;
  rlimit before_{};
  int faults_ = 0;
  int recoveries_ = 0;
  std::string reason_;
};

TEST_F(FileOutputTest, LosesNothingOfWhatIsWrittenToAFullDiskAndGoesOnWhenThereIsRoom) {
  auto files = output();
  add(*files, 30);
  files->flush();
  const auto written = size("p-0.pcap");
  EXPECT_EQ(written, 24u + 30 * 1016);
  disk_holds(written + 500);
  for (int i = 0; i < 5; ++i) {
    add(*files, 10);
    files->flush();
  }
  EXPECT_EQ(faults_, 1) << "said once";
  EXPECT_EQ(recoveries_, 0);
  EXPECT_EQ(size("p-0.pcap"), written) << "whole records only, and no file is begun anew";
  EXPECT_FALSE(fs::exists(folder_ / "p-1.pcap"));
  EXPECT_EQ(files->counts().dropped_total(), 50u);
  disk_holds(1 << 20);
  files->flush();
  EXPECT_EQ(recoveries_, 1) << "though no packet comes";
  add(*files, 7);
  files->flush();
  EXPECT_EQ(files->counts().forwarded.value(), 37u);
  EXPECT_EQ(size("p-0.pcap"), written + 7 * 1016);
  EXPECT_EQ(faults_, 1);
}

TEST_F(FileOutputTest, ComesBackFromADiskThatIsFullFromTheStart) {
  disk_holds(10);
  auto files = output();
  add(*files, 5);
  files->flush();
  EXPECT_EQ(faults_, 1);
  disk_holds(1 << 20);
  files->flush();
  EXPECT_EQ(recoveries_, 1);
  add(*files, 5);
  files->flush();
  EXPECT_EQ(files->counts().forwarded.value(), 5u);
  EXPECT_EQ(size("p-0.pcap"), 24u + 5 * 1016);
}

TEST_F(FileOutputTest, EveryFileOfPcapngIsWholeAndSaysInItsEndWhatWasDropped) {
  constexpr std::uint64_t kRecord = PcapngWriter::size_of_packet(1000);
  const CaptureHeading heading{.format = CaptureFormat::kPcapng,
                               .interfaces = {label_of({"web-1", "shop", ""}, "eth0")},
                               .names = {}};
  const std::uint64_t beginning = beginning_of(heading).size();
  const std::uint64_t full = beginning + 10 * kRecord + PcapngWriter::kStatisticsSize;
  auto files = make_file_output(
      {.folder = folder_, .prefix = "p", .file_bytes = full, .files = 3, .heading = heading},
      nullptr, nullptr);
  add(*files, 25);
  files->finish();
  EXPECT_EQ(size("p-0.pcapng"), full);
  EXPECT_EQ(size("p-1.pcapng"), full);
  EXPECT_EQ(size("p-2.pcapng"), beginning + 5 * kRecord + PcapngWriter::kStatisticsSize);
  EXPECT_EQ(files->counts().forwarded.value(), 25u);
}

TEST_F(FileOutputTest, AFileOfPcapngWithoutRoomForItsEndEndsWithItsLastPacket) {
  const CaptureHeading heading{
      .format = CaptureFormat::kPcapng, .interfaces = {InterfaceLabel{}}, .names = {}};
  auto files =
      make_file_output({.folder = folder_, .prefix = "p", .heading = heading}, nullptr, nullptr);
  add(*files, 3);
  files->flush();
  const auto written = size("p-0.pcapng");
  disk_holds(written + PcapngWriter::kStatisticsSize - 4);
  files->finish();
  EXPECT_EQ(size("p-0.pcapng"), written);
}

}  // namespace
}  // namespace sidetap::forwarding
