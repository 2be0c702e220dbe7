#include "sidecar/forwarding/file_output.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/tap_interfaces.h"
#include "tests/support/addresses.h"
#include "tests/unit/sidecar_forwarding/pcapng_blocks.h"

namespace {
bool files_can_be_cut = true;
}  // namespace

/// In place of the C library's, for a file system that fails.
extern "C" int ftruncate(int fd, off_t size) noexcept {
  if (files_can_be_cut) return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  errno = EIO;
  return -1;
}

namespace sidetap::forwarding {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

/// Limits the size of files that the process may write. For the output, that is a full disk.
class FileOutputTest : public testing::Test {
 protected:
  FileOutputTest() {
    folder_ = fs::temp_directory_path() / ("sidetap-files-" + std::to_string(getpid()));
    fs::create_directory(folder_);
    getrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_DFL);
  }
  ~FileOutputTest() override {
    files_can_be_cut = true;
    setrlimit(RLIMIT_FSIZE, &before_);
    fs::remove_all(folder_);
  }
  void disk_holds(rlim_t bytes) {
    const rlimit limit{bytes, before_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  void add(Output& output, unsigned count, std::uint32_t origin = 0) {
    const std::vector<std::byte> bytes(1000);
    for (unsigned i = 0; i < count; ++i)
      output.add({.header = {.captured = 1000, .length = 1000},
                  .head = {},
                  .body = bytes,
                  .origin = origin});
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
  bool exists(const char* name) const { return fs::exists(folder_ / name); }
  /// The blocks of a file of pcapng in words.
  std::vector<std::string> told(const char* name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
    return told_by(std::as_bytes(std::span(bytes)));
  }

  /// A pod of the namespace shop has the tap of this number.
  void know(std::uint32_t origin, const char* pod, std::vector<net::IpAddress> addresses) {
    identities_->add(origin, {.from = ip("10.0.0.1"),
                              .description = std::string("shop/") + pod,
                              .interface = "eth0",
                              .addresses = std::move(addresses)});
  }
  /// As a collector has it.
  std::unique_ptr<Output> of_pods(std::uint64_t file_bytes = 100U << 20,
                                  CaptureFormat format = CaptureFormat::kPcapng) {
    return make_file_output({.folder = folder_,
                             .prefix = "p",
                             .file_bytes = file_bytes,
                             .heading = {.format = format, .interfaces = {InterfaceLabel{}}},
                             .identities = identities_,
                             .probe_interval = {}},
                            nullptr, [this] { ++recoveries_; });
  }

  fs::path folder_;
  rlimit before_{};
  int faults_ = 0;
  int recoveries_ = 0;
  std::string reason_;
  std::shared_ptr<TapIdentities> identities_ = std::make_shared<TapIdentities>();
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

TEST_F(FileOutputTest, NothingFollowsHalfARecordThatCannotBeCutOff) {
  auto files = output();
  add(*files, 30);
  files->flush();
  const auto written = size("p-0.pcap");
  disk_holds(written + 500);
  files_can_be_cut = false;
  add(*files, 10);
  files->flush();
  const auto spoiled = size("p-0.pcap");
  EXPECT_EQ(spoiled, written + 500);
  disk_holds(1 << 20);
  files->flush();
  EXPECT_EQ(recoveries_, 1);
  add(*files, 7);
  files->flush();
  EXPECT_EQ(size("p-0.pcap"), spoiled);
  EXPECT_EQ(size("p-1.pcap"), 24u + 7 * 1016);
  EXPECT_EQ(files->counts().forwarded.value(), 37u);
  EXPECT_EQ(files->counts().dropped_total(), 10u);
}

TEST_F(FileOutputTest, APipeInPlaceOfTheFileStopsNothing) {
  const std::string pipe = folder_ / "p-0.pcap";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  auto files = output();
  add(*files, 3);
  files->flush();
  EXPECT_EQ(faults_, 1);
  const net::UniqueFd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(reader);
  files->flush();
  EXPECT_EQ(recoveries_, 0) << "nor does anybody read it";
  EXPECT_EQ(files->counts().dropped_total(), 3u);
  fs::remove(pipe);
  files->flush();
  EXPECT_EQ(recoveries_, 1);
  add(*files, 2);
  files->flush();
  EXPECT_EQ(size("p-0.pcap"), 24u + 2 * 1016);
}

TEST_F(FileOutputTest, NamesStayInTheFolderAndFitTheFileSystem) {
  const std::string pod = std::string(250, 'x') + "-7d4b9";
  for (const std::string& prefix : {std::string("../../p"), pod + "_eth0"}) {
    auto files = make_file_output({.folder = folder_, .prefix = prefix}, nullptr, nullptr);
    add(*files, 1);
    files->finish();
    EXPECT_EQ(files->counts().forwarded.value(), 1u) << prefix;
  }
  std::vector<std::string> names;
  for (const auto& each : fs::directory_iterator(folder_)) names.push_back(each.path().filename());
  EXPECT_THAT(names, testing::UnorderedElementsAre(".._.._p-0.pcap",
                                                   testing::EndsWith("x-7d4b9_eth0-0.pcap")));
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
  EXPECT_EQ(told("p-1.pcapng").back(), "0 has 10, dropped 0");
  EXPECT_EQ(told("p-2.pcapng").back(), "0 has 5, dropped 0");
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

TEST_F(FileOutputTest, EveryPodHasItsInterfaceAndItsNamesBeforeItsFirstPacket) {
  know(7, "web-1", {ip("10.0.0.1"), ip("fd00::1"), ip("fe80::1")});
  know(9, "web-2", {ip("10.0.0.2")});
  auto files = of_pods();
  add(*files, 1, 9);
  files->flush();
  add(*files, 1, 7);
  add(*files, 2, 9);
  files->finish();
  EXPECT_THAT(told("p-0.pcapng"),
              ElementsAre("section", "interface shop/web-2 eth0", "names 1", "packet of 0",
                          "interface shop/web-1 eth0", "names 2", "packet of 1", "packet of 0",
                          "packet of 0", "0 has 3, dropped 0", "1 has 1, dropped 0"));
}

TEST_F(FileOutputTest, ATapThatComesAgainHasTheInterfaceOfItsPod) {
  know(7, "web-1", {ip("10.0.0.1")});
  know(8, "web-1", {ip("10.0.0.1")});
  know(9, "web-1", {ip("10.0.0.5")});
  auto files = of_pods();
  for (const std::uint32_t origin : {7U, 8U, 9U, 7U}) {
    add(*files, 1, origin);
    files->flush();
  }
  files->finish();
  EXPECT_THAT(told("p-0.pcapng"), ElementsAre("section", "interface shop/web-1 eth0", "names 1",
                                              "packet of 0", "packet of 0", "names 1",
                                              "packet of 0", "packet of 0", "0 has 4, dropped 0"));
}

TEST_F(FileOutputTest, EveryFileHasTheInterfacesThatItNeeds) {
  know(1, "web-1", {});
  know(2, "web-2", {});
  auto first = of_pods();
  add(*first, 3, 1);
  first->finish();
  const std::uint64_t three = size("p-0.pcapng");
  auto files = of_pods(three);
  add(*files, 3, 1);
  add(*files, 2, 2);
  add(*files, 2, 1);
  files->finish();
  EXPECT_EQ(size("p-0.pcapng"), three);
  EXPECT_THAT(told("p-1.pcapng"), ElementsAre("section", "interface shop/web-2 eth0", "packet of 0",
                                              "packet of 0", "0 has 2, dropped 0"))
      << "another interface and its end have no room beside a third packet";
  EXPECT_THAT(told("p-2.pcapng"), ElementsAre("section", "interface shop/web-1 eth0", "packet of 0",
                                              "packet of 0", "0 has 2, dropped 0"));
}

TEST_F(FileOutputTest, AFileHasABoundedNumberOfInterfaces) {
  auto files = of_pods();
  const auto most = static_cast<std::uint32_t>(TapInterfaces::kMost);
  for (std::uint32_t origin = 1; origin <= most; ++origin)
    files->add({.header = {}, .head = {}, .body = {}, .origin = origin});
  files->flush();
  EXPECT_FALSE(exists("p-1.pcapng"));
  files->add({.header = {}, .head = {}, .body = {}, .origin = most});
  files->add({.header = {}, .head = {}, .body = {}, .origin = most + 1});
  files->finish();
  EXPECT_EQ(told("p-0.pcapng").size(), 1 + 3 * TapInterfaces::kMost + 1);
  EXPECT_THAT(told("p-1.pcapng"),
              ElementsAre("section", "interface tap " + std::to_string(most + 1), "packet of 0",
                          "0 has 1, dropped 0"));
}

TEST_F(FileOutputTest, AnInterfaceThatTheDiskHadNoRoomForPrecedesThePacketsThatFollow) {
  know(1, "web-1", {});
  know(2, "web-2", {});
  auto files = of_pods();
  add(*files, 1, 1);
  files->flush();
  disk_holds(size("p-0.pcapng") + 200);
  add(*files, 2, 2);
  files->flush();
  add(*files, 1, 1);
  add(*files, 1, 3);
  EXPECT_EQ(files->counts().dropped_total(), 4U);
  EXPECT_EQ(told("p-0.pcapng").size(), 3U);
  disk_holds(1 << 20);
  files->flush();
  EXPECT_EQ(recoveries_, 1);
  add(*files, 1, 2);
  files->finish();
  EXPECT_THAT(told("p-0.pcapng"), ElementsAre("section", "interface shop/web-1 eth0", "packet of 0",
                                              "interface shop/web-2 eth0", "packet of 1",
                                              "0 has 2, dropped 1", "1 has 3, dropped 2"));
  EXPECT_EQ(files->counts().forwarded.value(), 2U);
}

TEST_F(FileOutputTest, PacketsThatAreLargerThanTheBufferHaveTheirInterfaceToo) {
  know(1, "web-1", {});
  auto files = of_pods();
  const std::vector<std::byte> bytes(200'000);
  files->add(
      {.header = {.captured = 200'000, .length = 200'000}, .head = {}, .body = bytes, .origin = 1});
  files->finish();
  EXPECT_THAT(told("p-0.pcapng"), ElementsAre("section", "interface shop/web-1 eth0", "packet of 0",
                                              "0 has 1, dropped 0"));
}

TEST_F(FileOutputTest, ClassicFilesKnowNoPods) {
  know(1, "web-1", {});
  auto files = of_pods(100U << 20, CaptureFormat::kPcap);
  add(*files, 2, 1);
  add(*files, 1, 2);
  files->finish();
  EXPECT_EQ(size("p-0.pcap"), 24u + 3 * 1016);
}

TEST_F(FileOutputTest, AFileOfAgeIsFollowedByTheNextOnceAPacketComes) {
  using std::chrono::milliseconds;
  auto files = make_file_output(
      {.folder = folder_,
       .prefix = "p",
       .file_age = milliseconds(1),
       .heading = {.format = CaptureFormat::kPcapng, .interfaces = {InterfaceLabel{.name = "e"}}}},
      nullptr, nullptr);
  add(*files, 1);
  files->flush();
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(milliseconds(2));
    files->flush();
  }
  EXPECT_EQ(told("p-0.pcapng").back(), "0 has 1, dropped 0") << "it ends though no packet comes";
  EXPECT_FALSE(exists("p-1.pcapng"));
  add(*files, 2);
  files->finish();
  EXPECT_THAT(told("p-1.pcapng"), ElementsAre("section", "interface e", "packet of 0",
                                              "packet of 0", "0 has 2, dropped 0"));
}

TEST_F(FileOutputTest, AFileThatIsNotOfAgeGoesOn) {
  auto files = make_file_output(
      {.folder = folder_, .prefix = "p", .file_age = std::chrono::hours(1)}, nullptr, nullptr);
  add(*files, 1);
  files->flush();
  add(*files, 1);
  files->finish();
  EXPECT_EQ(size("p-0.pcap"), 24u + 2 * 1016);
}

}  // namespace
}  // namespace sidetap::forwarding
