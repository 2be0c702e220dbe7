// Which settings a tap follows while its registry's replicas say different things.
#include "sidecar/registry/settings_choice.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace sidetap::registry {
namespace {

using std::chrono::milliseconds;

const SettingsChoice::Time kMorning{std::chrono::hours(1)};
constexpr auto kPatience = SettingsChoice::kPatience;

Settings said(std::uint64_t generation, std::string sensor = "192.0.2.1") {
  return {.generation = generation, .profile = {}, .values = {{"SENSOR", std::move(sensor)}}};
}

TEST(SettingsChoice, FollowsTheFirstThatSpeaks) {
  SettingsChoice choice;
  EXPECT_EQ(choice.in_force(), std::nullopt);
  EXPECT_FALSE(choice.lost("a", kMorning)) << "it has said nothing";
  EXPECT_TRUE(choice.hear("a", said(7), kMorning));
  EXPECT_EQ(choice.in_force(), said(7));
  EXPECT_FALSE(choice.hear("a", said(7), kMorning));
  EXPECT_FALSE(choice.hear("b", said(7), kMorning));
}

TEST(SettingsChoice, AGreaterGenerationCountsAtOnceWhoeverSaysIt) {
  SettingsChoice choice;
  choice.hear("a", said(7), kMorning);
  choice.hear("b", said(7), kMorning);
  EXPECT_TRUE(choice.hear("b", said(8, "192.0.2.2"), kMorning));
  EXPECT_EQ(choice.in_force(), said(8, "192.0.2.2"));
  EXPECT_FALSE(choice.hear("c", said(7), kMorning)) << "a replica that has not heard of it";
  EXPECT_TRUE(choice.hear("d", said(9), kMorning));
  EXPECT_EQ(choice.in_force(), said(9));
  EXPECT_EQ(choice.deadline(), std::nullopt);
}

TEST(SettingsChoice, BetweenEqualGenerationsWhatIsInForceStaysWhileSomebodySaysIt) {
  SettingsChoice choice;
  choice.hear("a", said(7, "192.0.2.1"), kMorning);
  EXPECT_FALSE(choice.hear("b", said(7, "192.0.2.2"), kMorning));
  EXPECT_FALSE(choice.lost("b", kMorning));
  EXPECT_FALSE(choice.hear("b", said(7, "192.0.2.2"), kMorning));
  EXPECT_TRUE(choice.lost("a", kMorning)) << "nobody says it any more";
  EXPECT_EQ(choice.in_force(), said(7, "192.0.2.2"));
  EXPECT_FALSE(choice.hear("a", said(7, "192.0.2.1"), kMorning));
}

TEST(SettingsChoice, AReplicaThatChangesItsWordWinsBetweenEqualGenerations) {
  SettingsChoice choice;
  choice.hear("a", said(0, "192.0.2.1"), kMorning);
  choice.hear("b", said(0, "192.0.2.1"), kMorning);
  EXPECT_TRUE(choice.hear("b", said(0, "192.0.2.2"), kMorning));
  EXPECT_EQ(choice.in_force(), said(0, "192.0.2.2"));
  EXPECT_FALSE(choice.hear("a", said(0, "192.0.2.2"), kMorning)) << "it follows suit";
}

TEST(SettingsChoice, AnOlderGenerationCountsWhenNothingElseIsSaidForAWhile) {
  SettingsChoice choice;
  choice.hear("a", said(7), kMorning);
  EXPECT_FALSE(choice.lost("a", kMorning));
  EXPECT_FALSE(choice.hear("b", said(1, "192.0.2.2"), kMorning));
  EXPECT_EQ(choice.deadline(), kMorning + kPatience);
  EXPECT_FALSE(choice.hear("b", said(2, "192.0.2.2"), kMorning + milliseconds(1)));
  EXPECT_FALSE(choice.expire(kMorning + kPatience - milliseconds(1)));
  EXPECT_TRUE(choice.expire(kMorning + kPatience));
  EXPECT_EQ(choice.in_force(), said(2, "192.0.2.2"));
  EXPECT_EQ(choice.deadline(), std::nullopt);
}

TEST(SettingsChoice, AnOlderGenerationWaitsAnewWhenTheNewerOneWasSaidAgain) {
  SettingsChoice choice;
  choice.hear("a", said(7), kMorning);
  choice.hear("b", said(6), kMorning);
  EXPECT_EQ(choice.deadline(), std::nullopt);
  EXPECT_FALSE(choice.lost("a", kMorning));
  EXPECT_EQ(choice.deadline(), kMorning + kPatience);
  EXPECT_FALSE(choice.hear("a", said(7), kMorning + milliseconds(5)));
  EXPECT_EQ(choice.deadline(), std::nullopt);
  EXPECT_FALSE(choice.lost("a", kMorning + milliseconds(10)));
  EXPECT_EQ(choice.deadline(), kMorning + milliseconds(10) + kPatience);
  EXPECT_FALSE(choice.lost("b", kMorning + milliseconds(20)));
  EXPECT_EQ(choice.deadline(), std::nullopt) << "nobody says anything";
  EXPECT_FALSE(choice.expire(kMorning + 2 * kPatience));
  EXPECT_EQ(choice.in_force(), said(7));
}

/// Replicas of a registry whose configuration is rolled out again and again, each at its own time,
/// over connections that end whenever they like. A pause is never long enough for an older one.
TEST(SettingsChoice, NeverGoesBackDuringRollouts) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&random](unsigned most) {
      return std::uniform_int_distribution<unsigned>(0, most - 1)(random);
    };
    struct Held {
      std::uint64_t generation = 1;
      bool connected = false;
    };
    constexpr unsigned kReplicas = 4;
    std::array<Held, kReplicas> replicas;
    SettingsChoice choice;
    std::uint64_t newest = 1;  // any replica holds
    std::uint64_t heard = 0;   // the newest that was said
    auto now = kMorning;
    for (unsigned step = 0; step < 200; ++step) {
      now += milliseconds(below(100));
      const unsigned which = below(kReplicas);
      Held& replica = replicas[which];
      const std::string name(1, static_cast<char>('a' + which));
      const auto before = choice.in_force();
      bool changed = false;
      bool speaks = false;
      switch (below(4)) {
        case 0:
          if (replica.connected) changed = choice.lost(name, now);
          replica.connected = false;
          break;
        case 1:
          speaks = replica.connected = true;
          break;
        case 2:
          newest = std::max(newest, replica.generation + below(2));
          replica.generation = newest;
          speaks = replica.connected;
          break;
        default:
          changed = choice.expire(now);
      }
      if (speaks) {
        heard = std::max(heard, replica.generation);
        changed =
            choice.hear(name, said(replica.generation, std::to_string(replica.generation)), now);
      }
      ASSERT_EQ(changed, choice.in_force() != before);
      if (heard == 0) continue;
      ASSERT_TRUE(choice.in_force());
      ASSERT_EQ(choice.in_force()->generation, heard) << "seed " << seed << ", step " << step;
    }
  }
}

/// Whatever they say, once or many times.
TEST(SettingsChoice, NeverFlapsBetweenReplicasThatDoNotChange) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&random](unsigned most) {
      return std::uniform_int_distribution<unsigned>(0, most - 1)(random);
    };
    std::array<Settings, 3> words;
    for (Settings& word : words) word = said(below(3), std::to_string(below(3)));
    SettingsChoice choice;
    auto now = kMorning;
    choice.hear("0", words[0], now);
    unsigned changes = 0;
    for (unsigned step = 0; step < 200; ++step) {
      now += milliseconds(below(20'000));
      const unsigned which = 1 + below(2);
      const std::string name = std::to_string(which);
      if (choice.expire(now)) ++changes;
      if (below(2) == 0 ? choice.hear(name, words[which], now) : choice.hear("0", words[0], now))
        ++changes;
    }
    EXPECT_LE(changes, 2U) << "seed " << seed << ": only to greater generations";
    EXPECT_EQ(choice.in_force()->generation,
              std::max({words[0].generation, words[1].generation, words[2].generation}));
  }
}

}  // namespace
}  // namespace sidetap::registry
