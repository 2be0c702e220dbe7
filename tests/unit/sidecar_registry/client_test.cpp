// The registry's client against replicas on the loopback.
#include "sidecar/registry/client.h"

#include <future>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/registry/codec.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/registry/link.h"
#include "tests/support/addresses.h"
#include "tests/unit/sidecar_registry/fake_registry.h"
#include "tests/unit/sidecar_registry/slow_way.h"

namespace sidetap::registry {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class RegistryClient : public testing::Test {
 protected:
  ~RegistryClient() override {
    stop();
    guard_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  testing_support::KeyPair leaf() { return testing_support::make_leaf(ca_, {"IP:127.0.0.1"}); }
  ClientConfig config() {
    ClientConfig config;
    config.registry = {"127.0.0.1", registry_.port()};
    config.ca = ca_.certificate;
    config.token_file = token_file_;
    config.grace = std::chrono::milliseconds(300);
    config.resolve_interval = std::chrono::milliseconds(100);
    config.settling = config.linger = std::chrono::milliseconds(10);
    config.backoff = {std::chrono::milliseconds(10), std::chrono::milliseconds(50)};
    return config;
  }
  Result<void> start(ClientConfig config) {
    ClientCallbacks callbacks;
    callbacks.on_peers = [this](std::shared_ptr<const Peers> peers) {
      const std::lock_guard lock(mutex_);
      peers_ = *peers;
      changed_.notify_all();
    };
    callbacks.exclude = [this](const std::string&, std::vector<capture::OwnEndpoint> endpoints) {
      const std::lock_guard lock(mutex_);
      if (!endpoints.empty()) excluded_ = endpoints.front();
      return std::chrono::milliseconds();
    };
    if (!replicas_.empty()) {
      callbacks.resolve = [this]() -> asio::awaitable<Result<std::vector<session::Endpoint>>> {
        co_return replicas_;
      };
    }
    client_ = std::make_unique<Client>(context_.get_executor(), std::move(config),
                                       std::move(callbacks), &metrics_);
    client_->set_own({{ip("10.1.2.3")}, {}});
    auto started = client_->start();
    thread_ = std::thread([this] { context_.run(); });
    return started;
  }
  void stop() {
    if (!client_ || stopped_) return;
    stopped_ = true;
    EXPECT_EQ(asio::co_spawn(context_, client_->stop(), asio::use_future)
                  .wait_for(std::chrono::seconds(20)),
              std::future_status::ready);
  }
  void forward() {
    on_thread([this] { client_->set_own({{ip("10.1.2.3")}, {ip("10.1.2.3")}}); });
  }
  /// Though this replica does not list it.
  [[nodiscard]] bool goes_on_when_told_to_leave() {
    registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
    EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")}));
    auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
    EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false}));
    return left.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout;
  }
  void on_thread(std::function<void()> work) { asio::post(context_, std::move(work)); }
  [[nodiscard]] bool wait_for_peers(const Addresses& tapped,
                                    const std::optional<Addresses>& services = std::nullopt) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return peers_ == Peers{tapped, services};
    });
  }
  [[nodiscard]] bool wait_for_metric(const std::string& line) {
    for (int i = 0; i < 500; ++i) {
      if (metrics_.text().find(line) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  testing_support::KeyPair ca_ = testing_support::make_ca("registry CA");
  testing_support::TemporaryFolder folder_;
  std::string token_file_ = folder_.write("token", "first\n");
  FakeRegistry registry_{leaf(), "127.0.0.1"};
  std::vector<session::Endpoint> replicas_;  // instead of the name's addresses
  telemetry::MetricsRegistry metrics_;
  asio::io_context context_{1};
  async::TaskGroup link_tasks_{context_.get_executor(), nullptr};
  asio::executor_work_guard<asio::io_context::executor_type> guard_ =
      asio::make_work_guard(context_);
  std::unique_ptr<Client> client_;
  std::thread thread_;
  bool stopped_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Peers> peers_;
  std::optional<capture::OwnEndpoint> excluded_;
};

TEST_F(RegistryClient, SaysHelloWithItsTokenAndLearnsItsPeers) {
  ASSERT_TRUE(start(config()));
  EXPECT_TRUE(wait_for_peers({})) << "nobody is tapped until a replica says so";
  EXPECT_EQ(registry_.receive(), encode(Hello{{Addresses{ip("10.1.2.3")}, false}}));
  EXPECT_EQ(registry_.authorization(), "Bearer first");
  EXPECT_EQ(registry_.target(), "/v1/taps");
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2","10.0.0.1"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.1"), ip("10.0.0.2")}));
  registry_.send(
      R"({"type":"change","from":1,"version":2,"add":["10.0.0.3"],"remove":["10.0.0.1"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2"), ip("10.0.0.3")}));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_peers 2"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_replicas 1"));
}

TEST_F(RegistryClient, LearnsOfWhichServicesEveryBackendIsTapped) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"],"services":["10.96.0.1"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")}, Addresses{ip("10.96.0.1")}));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_tapped_services 1"));
  registry_.send(R"({"type":"change","from":1,"version":2,"add":[],"remove":[],)"
                 R"("add_services":["10.96.0.2"],"remove_services":["10.96.0.1"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")}, Addresses{ip("10.96.0.2")}));
  registry_.send(R"({"type":"snapshot","version":3,"taps":["10.0.0.2"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")})) << "a registry that no longer tells";
}

TEST_F(RegistryClient, TellsWhenItForwardsAndWhenItsAddressesChange) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  forward();
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, true}));
  forward();
  const Addresses both = {ip("10.1.2.3"), ip("fd00::3")};
  on_thread([this, both] { client_->set_own({both, both}); });
  EXPECT_EQ(registry_.receive(), encode(State{both, true}));
  on_thread([this, both] { client_->set_own({both, {ip("fd00::3")}}); });
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("fd00::3")}, true}))
      << "one interface has lost its sensor";
  on_thread([this, both] { client_->set_own({both, {}}); });
  EXPECT_EQ(registry_.receive(), encode(State{both, false}));
  EXPECT_TRUE(registry_.silent_for(std::chrono::milliseconds(50)));
}

TEST_F(RegistryClient, AsksForASnapshotOnceAfterAGap) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":[]})");
  registry_.send(R"({"type":"change","from":4,"version":5,"add":["10.0.0.3"],"remove":[]})");
  registry_.send(R"({"type":"change","from":5,"version":6,"add":["10.0.0.4"],"remove":[]})");
  EXPECT_EQ(registry_.receive(), encode(Resync{}));
  EXPECT_TRUE(registry_.silent_for(std::chrono::milliseconds(50)));
  EXPECT_TRUE(wait_for_peers({}));
  registry_.send(R"({"type":"snapshot","version":6,"taps":["10.0.0.4"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.4")}));
}

TEST_F(RegistryClient, DialsAgainWithTheTokenOfTheMomentAndSaysWhatHoldsThen) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  forward();
  registry_.receive();
  folder_.write("token", "renewed");
  registry_.cut();
  EXPECT_EQ(registry_.receive(), encode(Hello{{Addresses{ip("10.1.2.3")}, true}}));
  EXPECT_EQ(registry_.authorization(), "Bearer renewed");
}

TEST_F(RegistryClient, NobodyIsTappedWhenNoReplicaAnswersForLongerThanTheGrace) {
  auto replica = std::make_unique<FakeRegistry>(leaf(), "127.0.0.1");
  ClientConfig with = config();
  with.registry.port = replica->port();
  ASSERT_TRUE(start(with));
  replica->receive();
  replica->send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  replica.reset();
  EXPECT_TRUE(wait_for_peers({}));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_alone_total 1"));
}

TEST_F(RegistryClient, OutlivesARestartOfTheRegistryWithinTheGrace) {
  auto replica = std::make_unique<FakeRegistry>(leaf(), "127.0.0.1");
  const auto port = replica->port();
  ClientConfig with = config();
  with.registry.port = port;
  with.grace = std::chrono::hours(1);
  ASSERT_TRUE(start(with));
  replica->receive();
  replica->send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  replica.reset();
  ASSERT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"connect\"}"));
  FakeRegistry again(leaf(), "127.0.0.1", port);
  again.receive();
  again.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.9"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.9")}));
}

TEST_F(RegistryClient, ConnectsToEveryAddressOfTheNameAndTakesTheUnion) {
  auto other = std::make_unique<FakeRegistry>(leaf(), "127.0.0.2");
  replicas_ = {{asio::ip::make_address("127.0.0.1"), registry_.port()},
               {asio::ip::make_address("127.0.0.2"), other->port()}};
  ASSERT_TRUE(start(config()));
  EXPECT_TRUE(registry_.receive());
  EXPECT_TRUE(other->receive());
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.4"]})");
  other->send(R"({"type":"snapshot","version":1,"taps":["10.0.0.6"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.4"), ip("10.0.0.6")}));
  other.reset();
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.4")})) << "what it said ends with its connection";
}

TEST_F(RegistryClient, FollowsTheNameToAnotherAddress) {
  FakeRegistry other(leaf(), "127.0.0.2");
  replicas_ = {{asio::ip::make_address("127.0.0.1"), registry_.port()}};
  ASSERT_TRUE(start(config()));
  EXPECT_TRUE(registry_.receive());
  on_thread([&] { replicas_ = {{asio::ip::make_address("127.0.0.2"), other.port()}}; });
  EXPECT_TRUE(other.receive());
  registry_.cut();
  EXPECT_TRUE(registry_.silent_for(std::chrono::milliseconds(300))) << "that address is no more";
}

TEST_F(RegistryClient, RefusesACertificateForAnotherName) {
  ClientConfig with = config();
  with.server_name = "sidetap-webhook.sidetap.svc";
  ASSERT_TRUE(start(with));
  EXPECT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"handshake\"} 2"));
  EXPECT_EQ(registry_.authorization(), "") << "no token leaves before the registry is verified";
}

TEST_F(RegistryClient, FollowsTheCaThroughARotation) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  const auto next = testing_support::make_ca("next CA");
  registry_.send(R"({"type":"ca","bundle":"no certificate"})");
  registry_.send(encode(CaBundle{next.certificate}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  registry_.present(testing_support::make_leaf(next, {"IP:127.0.0.1"}));
  registry_.cut();
  EXPECT_TRUE(registry_.receive()) << "the new certificate is trusted";
}

TEST_F(RegistryClient, AWrongCaThatWasAnnouncedDoesNotLockItOut) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(encode(CaBundle{testing_support::make_ca("wrong CA").certificate}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")})) << "it has heard of the CA as well";
  registry_.cut();
  EXPECT_TRUE(registry_.receive()) << "REGISTRY_CA verifies the replica still";
}

TEST_F(RegistryClient, AWrongCaThatWasAnnouncedAfterARotationDoesNotLockItOut) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  const auto next = testing_support::make_ca("next CA");
  registry_.send(encode(CaBundle{next.certificate}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  registry_.present(testing_support::make_leaf(next, {"IP:127.0.0.1"}));
  registry_.cut();
  ASSERT_TRUE(registry_.receive());
  registry_.send(encode(CaBundle{testing_support::make_ca("wrong CA").certificate}));
  registry_.send(R"({"type":"snapshot","version":2,"taps":["10.0.0.3"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.3")}));
  registry_.cut();
  EXPECT_TRUE(registry_.receive()) << "the CA that worked last verifies the replica still";
}

TEST_F(RegistryClient, KeepsTryingWhenItIsRefused) {
  registry_.decline(401);
  ASSERT_TRUE(start(config()));
  EXPECT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"refused\"} 2"));
  registry_.decline(0);
  EXPECT_TRUE(registry_.receive());
  registry_.send(R"({"type":"refused","reason":"not your address"})");
  EXPECT_TRUE(registry_.receive()) << "dialled again";
}

TEST_F(RegistryClient, GarbageEndsTheConnectionAndNotTheClient) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send("garbage");
  EXPECT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"malformed\"} 1"));
  EXPECT_TRUE(registry_.receive());
}

TEST_F(RegistryClient, ItsConnectionIsExcludedFromTheCapture) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  const std::lock_guard lock(mutex_);
  ASSERT_TRUE(excluded_);
  EXPECT_EQ(excluded_->remote_port, registry_.port());
  EXPECT_NE(excluded_->local_port, 0);
}

TEST_F(RegistryClient, LeavesBeforeItStops) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  forward();
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.1.2.3","10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")})) << "the pod is no peer of its own";
  auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false}));
  EXPECT_EQ(left.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout)
      << "peers still count on this tap";
  registry_.send(R"({"type":"change","from":1,"version":2,"add":[],"remove":["10.1.2.3"]})");
  EXPECT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(RegistryClient, ATapThatEndsLastSaysThatItsPodHasEnded) {
  ClientConfig with = config();
  with.ends_last = true;
  ASSERT_TRUE(start(with));
  EXPECT_EQ(registry_.receive(), encode(Hello{{Addresses{ip("10.1.2.3")}, false}}));
  forward();
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, true}));
  auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false, true}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":[]})");
  EXPECT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(RegistryClient, ATapThatEndsLastSaysSoThoughItDidNotForward) {
  ClientConfig with = config();
  with.ends_last = true;
  ASSERT_TRUE(start(with));
  registry_.receive();
  forward();
  registry_.receive();
  on_thread([this] { client_->set_own({{ip("10.1.2.3")}, {}}); });
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false}));
  auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false, true}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":[]})");
  EXPECT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(RegistryClient, GoesOnForAWhileWhenItIsListedNoMoreSinceOthersHearLater) {
  ClientConfig with = config();
  with.linger = std::chrono::hours(1);
  ASSERT_TRUE(start(with));
  registry_.receive();
  forward();
  registry_.receive();
  EXPECT_TRUE(goes_on_when_told_to_leave());
}

TEST_F(RegistryClient, GoesOnAsLongAsItMayWhenAReplicaThatMayListItDoesNotAnswer) {
  auto other = std::make_unique<FakeRegistry>(leaf(), "127.0.0.2");
  replicas_ = {{asio::ip::make_address("127.0.0.1"), registry_.port()},
               {asio::ip::make_address("127.0.0.2"), other->port()}};
  ASSERT_TRUE(start(config()));
  registry_.receive();
  other->receive();
  forward();
  registry_.receive();
  other.reset();
  ASSERT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"connect\"}"));
  EXPECT_TRUE(goes_on_when_told_to_leave());
}

TEST_F(RegistryClient, LeavesAtOnceWhenNobodyCountsOnIt) {
  registry_.decline(503);
  ASSERT_TRUE(start(config()));
  forward();
  auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
  EXPECT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(RegistryClient, ATapThatIsNewlyListedDoesNotCountAtOnce) {
  ClientConfig with = config();
  with.settling = std::chrono::hours(1);
  ASSERT_TRUE(start(with));
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"],"services":["10.96.0.1"]})");
  EXPECT_TRUE(wait_for_peers({}, Addresses{})) << "nor do Services that have tapped backends only";
}

TEST_F(RegistryClient, ASilentReplicaWasHeardOfWhenItsLastByteCame) {
  ClientConfig with = config();
  with.silence = std::chrono::milliseconds(200);
  const auto link = std::make_shared<Link>(
      link_tasks_, context_.get_executor(), with,
      session::Endpoint(asio::ip::make_address("127.0.0.1"), registry_.port()));
  const session::Exclude exclude = [](const capture::OwnEndpoint&) {
    return std::chrono::milliseconds();
  };
  const std::function<std::string()> hello = [] { return encode(Hello{{Addresses(), false}}); };
  const std::function<bool(Message)> on_message = [](Message) { return true; };
  auto ended = asio::co_spawn(context_, link->run(ca_.certificate, exclude, hello, on_message),
                              asio::use_future);
  thread_ = std::thread([this] { context_.run(); });
  EXPECT_TRUE(registry_.receive());
  registry_.freeze();
  const auto frozen = std::chrono::steady_clock::now();
  const LinkEnd end = ended.get();
  EXPECT_EQ(end.text, "the registry is silent");
  EXPECT_LT(end.heard, frozen);
}

TEST_F(RegistryClient, ACertificateOfAnotherCaNamesTheRemedy) {
  ClientConfig with = config();
  const auto link = std::make_shared<Link>(
      link_tasks_, context_.get_executor(), with,
      session::Endpoint(asio::ip::make_address("127.0.0.1"), registry_.port()));
  const std::string foreign = testing_support::make_ca("registry CA").certificate;
  const session::Exclude exclude = [](const capture::OwnEndpoint&) {
    return std::chrono::milliseconds();
  };
  const std::function<std::string()> hello = [] { return encode(Hello{}); };
  const std::function<bool(Message)> on_message = [](Message) { return true; };
  auto ended =
      asio::co_spawn(context_, link->run(foreign, exclude, hello, on_message), asio::use_future);
  thread_ = std::thread([this] { context_.run(); });
  const LinkEnd end = ended.get();
  EXPECT_EQ(end.kind, "handshake");
  EXPECT_THAT(end.text, HasSubstr("another CA than when this pod was made: restart"));
}

TEST_F(RegistryClient, AReplicaThatSendsOneMessageSlowlyIsNotSilent) {
  SlowWay way(registry_.port());
  ClientConfig with = config();
  with.registry.port = way.port();
  with.silence = std::chrono::milliseconds(3'000);
  ASSERT_TRUE(start(with));
  registry_.receive();
  way.slow_down();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"],"x":")" +
                 std::string(5'000, 'x') + "\"}");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  EXPECT_THAT(metrics_.text(), testing::Not(HasSubstr("sidetap_registry_failures_total")));
}

TEST_F(RegistryClient, AnUnusableCaIsNamedAtTheStart) {
  ClientConfig with = config();
  with.ca = "no certificate";
  const auto started = start(with);
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().text, HasSubstr("CA"));
}

}  // namespace
}  // namespace sidetap::registry
