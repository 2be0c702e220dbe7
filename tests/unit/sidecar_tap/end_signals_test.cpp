#include "sidecar/tap/end_signals.h"

#include <csignal>
#include <cstddef>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap {
namespace {

using testing::ElementsAre;

TEST(EndSignals, TheFirstEndsTheProgramAndEachLaterOneHurriesIt) {
  boost::asio::io_context context(1);
  std::vector<std::string> told;
  EndSignals signals(
      context.get_executor(), [&] { told.emplace_back("end"); },
      [&] { told.emplace_back("hurry"); });
  signals.start();
  for (const int signal : {SIGTERM, SIGTERM, SIGINT}) {
    const std::size_t before = told.size();
    ASSERT_EQ(std::raise(signal), 0);
    while (told.size() == before) context.run_one();
  }
  EXPECT_THAT(told, ElementsAre("end", "hurry", "hurry"));
  signals.stop();
  ASSERT_EQ(std::raise(SIGTERM), 0) << "it kills nobody";
  context.run();
  EXPECT_EQ(told.size(), 3U);
}

}  // namespace
}  // namespace sidetap
