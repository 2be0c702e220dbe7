// What the server keeps of taps' reports, and shows to others in the process.
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "tests/unit/webhook_registry/server_fixture.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::webhook::registry {
namespace {

class RegistryReports : public RegistryServer {
 protected:
  /// As the server knows it now.
  std::optional<inventory::Tap> known(const inventory::Inventory::Name& name) {
    std::promise<std::optional<inventory::Tap>> told;
    server_->with_view([&](const View& view) {
      const inventory::Tap* const found = view.inventory.find(name);
      told.set_value(found == nullptr ? std::nullopt : std::optional(*found));
    });
    return told.get_future().get();
  }
  /// Has said hello.
  std::unique_ptr<TlsClient> tap_at_10_0_0_1() {
    auto client = std::make_unique<TlsClient>(port_);
    client->send(upgrade());
    EXPECT_THAT(client->read_answer(), StartsWith("HTTP/1.1 101 "));
    client->send(frame(kHello));
    EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
    return client;
  }
  /// By now, what it has sent before has been heard.
  void forward(TlsClient& client) {
    client.send(frame(R"({"type":"state","addresses":["10.0.0.1"],"forwarding":true})"));
    EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  }

  const inventory::Inventory::Name name_{"", "10.0.0.1"};
};

TEST_F(RegistryReports, AReportIsKeptWithItsTap) {
  serve();
  const auto client = tap_at_10_0_0_1();
  EXPECT_EQ(known(name_)->standing(), inventory::Standing::kNoSensor);
  EXPECT_FALSE(known(name_)->report);
  client->send(frame(kReport));
  forward(*client);
  const auto one = known(name_);
  ASSERT_TRUE(one->report);
  EXPECT_EQ(one->report->release, "1.2.0");
  EXPECT_EQ(one->report->generation, 7u);
  EXPECT_EQ(one->report->counts.seen, 9u);
  EXPECT_EQ(one->report->lost.at("kernel_ring"), 3u);
  EXPECT_EQ(one->standing(), inventory::Standing::kForwarding);
  EXPECT_EQ(one->history.size(), 1u);
  EXPECT_TRUE(shows("sidetap_registry_taps_by_standing{standing=\"forwarding\"} 1"));
}

TEST_F(RegistryReports, ATapThatEndsWithoutAWordHasGone) {
  serve();
  {
    const auto client = tap_at_10_0_0_1();
    forward(*client);
  }
  EXPECT_TRUE(shows("sidetap_registry_addresses 0"));
  EXPECT_EQ(known(name_)->standing(), inventory::Standing::kGone);
  EXPECT_TRUE(shows("sidetap_registry_taps_by_standing{standing=\"gone\"} 1"));
  EXPECT_TRUE(shows("sidetap_registry_taps_by_standing{standing=\"forwarding\"} 0"));
}

TEST_F(RegistryReports, TooManyReportsAreDroppedAndEndNothing) {
  serve();
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_reports_dropped_total 0"));
  const auto client = tap_at_10_0_0_1();
  std::string reports;
  for (int i = 0; i < 5; ++i) reports += frame(kReport);
  client->send(reports);
  forward(*client);
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_reports_dropped_total 3"));
  EXPECT_TRUE(known(name_)->report);
}

TEST_F(RegistryReports, AReportBeforeHelloIsAFault) {
  serve();
  TlsClient client(port_);
  client.send(upgrade());
  EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 101 "));
  client.send(frame(kReport));
  EXPECT_THAT(client.read_all(), HasSubstr("the first message is not hello"));
}

TEST_F(RegistryReports, TheViewShowsWhatIsKnownNow) {
  serve_with_tokens();
  const auto client = asking("good");
  EXPECT_THAT(client->read_answer(), StartsWith("HTTP/1.1 101 "));
  client->send(frame(
      R"({"type":"hello","version":1,"rules":2,"addresses":["127.0.0.1"],"forwarding":true})"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  configuration::Configuration wanted;
  wanted.generation = 9;
  server_->set_profiles(std::make_shared<const profiles::Profiles>(wanted));
  EXPECT_EQ(known({"shop", "web-1"})->pod, (identity::Pod{"shop", "web-1", "u-1", ""}));
  std::promise<bool> checked;
  server_->with_view([&checked](const View& view) {
    checked.set_value(view.services == nullptr && view.generation == 9 &&
                      view.ledger.taps().size() == 1 && view.inventory.taps().size() == 1 &&
                      !view.inventory.taps().begin()->second.ended);
  });
  EXPECT_TRUE(checked.get_future().get());
}

}  // namespace
}  // namespace sidetap::webhook::registry
