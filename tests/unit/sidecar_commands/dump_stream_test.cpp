#include "sidecar/commands/dump_stream.h"

#include <array>
#include <csignal>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"

namespace sidetap {
namespace {

using forwarding::CaptureFormat;
using State = DumpStream::State;

const forwarding::CaptureHeading& heading() {
  static const forwarding::CaptureHeading kHeading{
      .format = CaptureFormat::kPcapng, .interfaces = {forwarding::InterfaceLabel{}}, .names = {}};
  return kHeading;
}

class DumpStreamTest : public testing::Test {
 protected:
  DumpStreamTest() {
    std::signal(SIGPIPE, SIG_IGN);
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
    ::fcntl(reader_.get(), F_SETFL, O_NONBLOCK);
  }
  DumpStream stream(DumpBounds bounds = {}) {
    return DumpStream(writer_.get(), bounds, [this] { return ++asked_ < 2; });
  }
  static void add(DumpStream& to, int count) {
    const std::vector<std::byte> bytes(1000);
    for (int i = 0; i < count; ++i) to.add({.captured = 1000, .length = 1000}, {}, bytes);
  }
  std::size_t read_all() {
    std::vector<char> buffer(1 << 20);
    std::size_t total = 0;
    for (ssize_t got = 0; (got = ::read(reader_.get(), buffer.data(), buffer.size())) > 0;)
      total += static_cast<std::size_t>(got);
    return total;
  }

  net::UniqueFd reader_;
  net::UniqueFd writer_;
  int asked_ = 0;
};

TEST_F(DumpStreamTest, TheHeadingAndEachFlushLeaveAtOnce) {
  DumpStream out = stream();
  out.begin(heading());
  EXPECT_EQ(read_all(), forwarding::beginning_of(heading()).size());
  add(out, 3);
  EXPECT_EQ(read_all(), 0u);
  out.flush();
  EXPECT_EQ(read_all(), 3 * forwarding::record_size(CaptureFormat::kPcapng, 1000));
  EXPECT_EQ(out.packets(), 3u);
  EXPECT_EQ(out.state(), State::kOpen);
}

TEST_F(DumpStreamTest, EndsAtTheLastPacketThatIsAskedFor) {
  DumpStream out = stream({.packets = 5});
  out.begin(heading());
  add(out, 9);
  EXPECT_EQ(out.state(), State::kFull);
  EXPECT_EQ(out.packets(), 5u);
  out.end(1, std::vector<forwarding::InterfaceTotals>(1));
  EXPECT_EQ(read_all(), out.bytes());
}

TEST_F(DumpStreamTest, NeverWritesMoreBytesThanItMayWithItsEnd) {
  DumpStream out = stream({.bytes = 8192});
  out.begin(heading());
  add(out, 20);
  EXPECT_EQ(out.state(), State::kFull);
  out.end(1, std::vector<forwarding::InterfaceTotals>(1));
  EXPECT_LE(out.bytes(), 8192u);
  EXPECT_GT(out.bytes(), 8192u - 1100);
  EXPECT_EQ(read_all(), out.bytes());
}

TEST_F(DumpStreamTest, NoticesThatTheReaderHasGone) {
  DumpStream out = stream();
  out.begin(heading());
  reader_.reset();
  add(out, 1);
  out.flush();
  EXPECT_EQ(out.state(), State::kGone);
  add(out, 1);
  EXPECT_EQ(out.packets(), 1u);
}

TEST_F(DumpStreamTest, WaitsForASlowReaderNoLongerThanItMay) {
  DumpStream out = stream();
  out.begin(heading());
  add(out, 200);  // more than a pipe holds
  out.flush();
  EXPECT_EQ(asked_, 2);
  EXPECT_EQ(out.state(), State::kGone);
}

TEST_F(DumpStreamTest, SaysWhyItCannotWrite) {
  const net::UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  DumpStream out(full.get(), {}, [] { return true; });
  out.begin(heading());
  EXPECT_EQ(out.state(), State::kFailed);
  EXPECT_EQ(out.failure(), "No space left on device");
}

}  // namespace
}  // namespace sidetap
