// Which settings taps are told, when, and how often.
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/webhook_registry/server_fixture.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::webhook::registry {
namespace {

using testing::AllOf;
using testing::Not;

class RegistrySettings : public RegistryServer {
 protected:
  /// The default profile filters "port GENERATION". "edge" is the profile of the namespace shop.
  static configuration::Configuration configured(std::uint64_t generation) {
    configuration::Configuration all;
    all.generation = generation;
    all.taps[sidetap::tap::kFilter] = "port " + std::to_string(generation);
    configuration::Profile edge;
    edge.namespaces = {"shop"};
    edge.values = {{&sidetap::tap::kFilter, "not port 9100"}};
    all.profiles["edge"] = edge;
    configuration::Profile still;
    still.values = {{&sidetap::tap::kPaused, "on"}};
    all.profiles["still"] = still;
    return all;
  }
  void configure(std::uint64_t generation) {
    server_->set_profiles(std::make_shared<const profiles::Profiles>(configured(generation)));
  }
  /// For clients that do not ping while the inventory is counted.
  void serve_the_silent() {
    ServerConfig config;
    config.silence = std::chrono::minutes(1);
    serve(std::move(config));
  }
  static std::string hello(const std::string& more, const std::string& address = "10.0.0.1") {
    return R"({"type":"hello","version":1,"rules":2,"addresses":[")" + address +
           R"("],"forwarding":true)" + more + "}";
  }
  std::unique_ptr<TlsClient> tap_that_says(const std::string& text, const std::string& token = "") {
    auto client = std::make_unique<TlsClient>(port_);
    client->send(token.empty() ? upgrade() : upgrade_with(token));
    EXPECT_THAT(client->read_answer(), StartsWith("HTTP/1.1 101 "));
    client->send(frame(text));
    return client;
  }
  /// Up to the end of the next settings: nothing else that is sent has two levels.
  static std::string next_settings(TlsClient& client) { return client.read_until("}}"); }
  /// Until the registry's thread has done all that it was told.
  void settle() {
    std::promise<void> done;
    server_->with_view([&done](const View&) { done.set_value(); });
    done.get_future().wait();
  }
  static std::size_t count(const std::string& text, const std::string& words) {
    std::size_t found = 0;
    for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1))
      ++found;
    return found;
  }

  static constexpr const char* kTakesAll =
      R"(,"control":["sensors","filter","sampling","snaplen","rate","pause"])";
};

TEST_F(RegistrySettings, ATapIsToldAtHelloAndAtAChange) {
  serve();
  configure(7);
  const auto client = tap_that_says(hello(kTakesAll));
  EXPECT_THAT(next_settings(*client),
              AllOf(HasSubstr(R"("type":"settings")"), HasSubstr(R"("generation":7)"),
                    HasSubstr(R"("profile":"")"), HasSubstr(R"("FILTER":"port 7")")));
  configure(8);
  EXPECT_THAT(next_settings(*client),
              AllOf(HasSubstr(R"("generation":8)"), HasSubstr(R"("FILTER":"port 8")")));
}

TEST_F(RegistrySettings, NothingIsToldBeforeTheFirstConfiguration) {
  serve();
  const auto client = tap_that_says(hello(kTakesAll));
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  configure(7);
  const std::string told = next_settings(*client);
  EXPECT_THAT(told, HasSubstr(R"("type":"snapshot")"));
  EXPECT_LT(told.find(R"("type":"snapshot")"), told.find(R"("generation":7)"));
}

TEST_F(RegistrySettings, ATapThatTakesNoOrdersIsToldNothing) {
  serve();
  configure(7);
  const auto older = tap_that_says(hello("", "10.0.0.1"));
  const auto fixed = tap_that_says(hello(R"(,"control":[])", "10.0.0.2"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 2"));
  configure(8);
  settle();
  server_->stop();
  for (TlsClient* const client : {older.get(), fixed.get()}) {
    EXPECT_THAT(client->read_all(),
                AllOf(HasSubstr(R"("type":"snapshot")"), Not(HasSubstr(R"("type":"settings")"))));
  }
}

TEST_F(RegistrySettings, TheSameSettingsAreNotToldTwice) {
  serve();
  configure(7);
  const auto client = tap_that_says(hello(kTakesAll));
  std::string told = next_settings(*client);
  configure(7);
  configure(7);
  settle();
  configure(8);
  told += client->read_until(R"("FILTER":"port 8")");
  EXPECT_EQ(count(told, R"("type":"settings")"), 2u);
}

TEST_F(RegistrySettings, TheProfileIsThatOfTheProvedNamespace) {
  serve_with_tokens();
  configure(7);
  const auto client = tap_that_says(hello(kTakesAll, "127.0.0.1"), "good");
  EXPECT_THAT(next_settings(*client),
              AllOf(HasSubstr(R"("profile":"edge")"), HasSubstr(R"("FILTER":"not port 9100")")));
}

TEST_F(RegistrySettings, APodThatMayChooseGetsTheProfileThatItNames) {
  serve_with_tokens();
  configure(7);
  const auto client =
      tap_that_says(hello(std::string(kTakesAll) + R"(,"profile":"still")", "127.0.0.1"), "good");
  EXPECT_THAT(next_settings(*client),
              AllOf(HasSubstr(R"("profile":"still")"), HasSubstr(R"("PAUSED":"on")")));
}

TEST_F(RegistrySettings, WithoutTokensATapGetsTheProfileThatItNamesIfThereIsOne) {
  serve();
  auto strict = configured(7);
  strict.sidecar.overrides.reset();
  server_->set_profiles(std::make_shared<const profiles::Profiles>(strict));
  const auto edge = tap_that_says(hello(std::string(kTakesAll) + R"(,"profile":"edge")"));
  EXPECT_THAT(next_settings(*edge), HasSubstr(R"("profile":"edge")"));
  const auto other = tap_that_says(hello(std::string(kTakesAll) + R"(,"profile":"none")"));
  EXPECT_THAT(next_settings(*other), HasSubstr(R"("profile":"")"));
}

TEST_F(RegistrySettings, ChangesInQuickSuccessionLeaveNobodyOut) {
  ServerConfig config;
  config.settings_pace = {.step = milliseconds(5), .steps = 100, .least = 1};
  serve(std::move(config));
  configure(1);
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (int i = 1; i <= 5; ++i) {
    clients.push_back(tap_that_says(hello(kTakesAll, "10.0.0." + std::to_string(i))));
    EXPECT_THAT(next_settings(*clients.back()), HasSubstr(R"("FILTER":"port 1")"));
  }
  for (std::uint64_t generation = 2; generation <= 20; ++generation) {
    configure(generation);
    settle();
  }
  for (const auto& client : clients) {
    std::string told;
    while (told.find(R"("FILTER":"port 20")") == std::string::npos) {
      const std::string more = next_settings(*client);
      ASSERT_FALSE(more.empty());
      told += more;
    }
    EXPECT_LT(count(told, R"("type":"settings")"), 19u);
  }
}

TEST_F(RegistrySettings, WhoFollowsAnOrderToPauseIsPausedAndWhoDoesNotIsCounted) {
  serve_the_silent();
  configure(7);
  const auto client = tap_that_says(hello(std::string(kTakesAll) + R"(,"profile":"still")"));
  next_settings(*client);
  EXPECT_TRUE(shows("sidetap_registry_taps_not_following 1"));
  EXPECT_TRUE(shows("sidetap_registry_taps_by_standing{standing=\"forwarding\"} 1"));
  std::string report = kReport;
  report.replace(report.find("edge"), 4, "still");
  client->send(frame(report));
  EXPECT_TRUE(shows("sidetap_registry_taps_not_following 0"));
  EXPECT_TRUE(shows("sidetap_registry_taps_by_standing{standing=\"paused\"} 1"));
}

TEST_F(RegistrySettings, ATapThatTakesNoPausesIsNotPaused) {
  serve_the_silent();
  configure(7);
  const auto client = tap_that_says(hello(R"(,"control":["filter"],"profile":"still")"));
  next_settings(*client);
  EXPECT_TRUE(shows("sidetap_registry_taps_not_following 1"));
  std::string report = kReport;
  report.replace(report.find("edge"), 4, "still");
  client->send(frame(report));
  EXPECT_TRUE(shows("sidetap_registry_taps_not_following 0"));
  EXPECT_TRUE(shows("sidetap_registry_taps_by_standing{standing=\"forwarding\"} 1"));
}

}  // namespace
}  // namespace sidetap::webhook::registry
