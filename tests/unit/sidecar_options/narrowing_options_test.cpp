// What narrows a tap's packets, as an operator sets it.
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/options/options.h"

namespace sidetap {
namespace {

Narrowing narrowing_of(std::initializer_list<const char*> arguments) {
  std::vector<const char*> all = {"--sensor", "10.0.0.1"};
  all.insert(all.end(), arguments);
  RunOptions options;
  const auto nothing_set = [](const std::string&) { return std::optional<std::string>(); };
  EXPECT_EQ(parse_run_options(all, nothing_set, options), config::ParseResult::kRun);
  EXPECT_EQ(options.sessions.snaplen, 262'144U)
      << "a sensor may ask again when the bound is lifted";
  return options.narrowing;
}

TEST(NarrowingOptions, LeaveNothingOutByThemselves) { EXPECT_EQ(narrowing_of({}), Narrowing()); }

TEST(NarrowingOptions, SetEachPart) {
  const Narrowing narrowing =
      narrowing_of({"--filter", "not port 9100", "--flow-sampling", "8", "--snaplen", "128",
                    "--max-rate", "100M", "--max-packet-rate", "2000", "--paused", "on"});
  EXPECT_EQ(narrowing,
            (Narrowing{.filter = "not port 9100",
                       .flow_sampling = 8,
                       .snaplen = 128,
                       .rate_limit = {.bits_per_second = 100'000'000, .packets_per_second = 2000},
                       .paused = true}));
}

TEST(NarrowingOptions, AFilterThatDoesNotCompileIsAnError) {
  RunOptions options;
  const std::vector<const char*> arguments = {"--sensor", "10.0.0.1", "--filter", "not ("};
  const auto nothing_set = [](const std::string&) { return std::optional<std::string>(); };
  EXPECT_EQ(parse_run_options(arguments, nothing_set, options), config::ParseResult::kError);
}

}  // namespace
}  // namespace sidetap
