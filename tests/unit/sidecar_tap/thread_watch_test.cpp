#include "sidecar/tap/thread_watch.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "sidecar/ownership/listening_sockets.h"
#include "tests/unit/sidecar_tap/quiet_device.h"

namespace sidetap {
namespace {

using std::chrono::seconds;

class ThreadWatchTest : public testing::Test {
 protected:
  static std::unique_ptr<CaptureLoop> loop(const std::string& interface) {
    CaptureLoopConfig config;
    config.interface = interface;
    config.reply = [](const CommandQueue::Task& task) { task(); };
    return std::make_unique<CaptureLoop>(std::move(config), std::make_unique<QuietDevice>(),
                                         std::make_unique<ownership::NoListeningSockets>());
  }

  boost::asio::io_context context_{1};
  ThreadWatch watch_{context_.get_executor()};
};

TEST_F(ThreadWatchTest, NamesTheInterfacesWhoseThreadsMakeNoTurn) {
  const auto stuck = loop("eth0");  // its thread never runs
  const auto other = loop("net1");
  watch_.start({stuck.get(), other.get()});
  Heartbeat::Time now = Heartbeat::Time::clock::now();
  watch_.look(now += seconds(5));
  EXPECT_EQ(watch_.fault(), "");
  for (int i = 0; i < 10; ++i) watch_.look(now += seconds(5));
  EXPECT_EQ(watch_.fault(), "the capture thread hangs: interface eth0, net1");
}

TEST_F(ThreadWatchTest, FindsNoFaultWithAThreadThatAnswers) {
  const auto working = loop("eth0");
  working->run();
  watch_.start({working.get()});
  Heartbeat::Time now = Heartbeat::Time::clock::now();
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t before = working->turns();
    while (working->turns() == before) working->settle({});
    watch_.look(now += seconds(5));
    EXPECT_EQ(watch_.fault(), "");
  }
  working->finish();
}

}  // namespace
}  // namespace sidetap
