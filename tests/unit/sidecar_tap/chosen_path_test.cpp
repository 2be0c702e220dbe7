// A path that chooses among collectors, with sessions that do what the test says.
#include "sidecar/tap/chosen_path.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/session/collector_choice.h"
#include "tests/unit/sidecar_tap/quiet_device.h"

namespace sidetap {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr const char* kTapAddress = "10.244.1.7";

/// One session, and what became of it.
struct PlayedSession {
  std::string host{};  // empty: no sensor
  session::Sensor sensor{};
  milliseconds silence{};
  std::string state = "dialling";
  std::string reason{};
  bool stopped = false;
  bool refuses = false;  // to start
  std::function<void()> changed{};

  void is(const std::string& now, const std::string& why = {}) {
    state = now;
    reason = why;
    if (changed) changed();
  }
};

class PlayedDelivery final : public Delivery {
 public:
  explicit PlayedDelivery(std::shared_ptr<PlayedSession> played) : played_(std::move(played)) {}
  Result<void> start() override {
    if (!played_->refuses) return {};
    played_->stopped = true;
    return Error{"the certificate is no certificate"};
  }
  boost::asio::awaitable<void> stop() override {
    played_->stopped = true;
    co_return;
  }
  bool forwarding() const override { return played_->state == "capturing"; }
  std::vector<registry::SensorReport> sensors() const override {
    std::vector<registry::SensorReport> reports;
    if (!played_->host.empty())
      reports.push_back({.sensor = played_->sensor.address.to_string(),
                         .state = played_->state,
                         .reason = played_->reason});
    return reports;
  }
  void on_forwarding_changed(std::function<void()> callback) override {
    played_->changed = std::move(callback);
  }

 private:
  std::shared_ptr<PlayedSession> played_;
};

class ChosenPathTest : public testing::Test {
 protected:
  ~ChosenPathTest() override {
    context_.restart();
    async::run_to_end(context_, path_->stop());
  }

  void start(const RunOptions& options) {
    CaptureLoopConfig config;
    config.interface = "eth0";
    ChoiceConfig choice;
    choice.tap = kTapAddress;
    choice.is_own = [this](const net::IpAddress& address) { return address.to_string() == own_; };
    choice.resolve = [this](net::HostPort name) { return look_up(std::move(name)); };
    choice.look_up_every = milliseconds(20);
    choice.look_up_least = milliseconds(5);
    choice.patience = milliseconds(200);
    choice.rest = {milliseconds(50), milliseconds(100)};
    path_ = std::make_unique<ChosenPath>(
        context_.get_executor(),
        std::make_unique<CaptureLoop>(std::move(config), std::make_unique<QuietDevice>(),
                                      std::make_unique<ownership::NoListeningSockets>()),
        [this](const RunOptions& asked, std::uint64_t) { return make(asked); }, [] {},
        std::move(choice));
    ASSERT_TRUE(path_->start(options));
    turn();
  }
  void start_with(const std::vector<std::string>& collectors) {
    names_["collectors"] = collectors;
    start(hash_of({"collectors"}));
  }
  static RunOptions hash_of(const std::vector<std::string>& names) {
    RunOptions options;
    options.sessions.mode = session::SensorMode::kHash;
    for (const std::string& name : names)
      options.sessions.sensors.push_back({.address = {name, 2003}});
    return options;
  }

  boost::asio::awaitable<Result<std::vector<session::Endpoint>>> look_up(net::HostPort name) {
    ++look_ups_;
    const auto found = names_.find(name.host);
    if (found == names_.end()) co_return Error{"look-up of " + name.host + ": no such host"};
    std::vector<session::Endpoint> endpoints;
    for (const std::string& address : found->second)
      endpoints.emplace_back(boost::asio::ip::make_address(address), name.port);
    co_return endpoints;
  }
  std::unique_ptr<Delivery> make(const RunOptions& asked) {
    auto played = std::make_shared<PlayedSession>();
    if (!asked.sessions.sensors.empty()) {
      played->sensor = asked.sessions.sensors.front();
      played->host = played->sensor.address.host;
    }
    EXPECT_LE(asked.sessions.sensors.size(), 1U);
    played->silence = asked.sessions.sensor_silence;
    played->refuses = refuse_ && !played->host.empty();
    sessions_.push_back(played);
    return std::make_unique<PlayedDelivery>(played);
  }

  void turn() { turn_for(milliseconds(10)); }
  void turn_for(milliseconds time) {
    context_.restart();
    context_.run_for(time);
  }
  bool soon(const std::function<bool()>& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) turn();
    return condition();
  }
  /// The newest session with this collector that has not been stopped; null if there is none.
  PlayedSession* with(const std::string& host) {
    for (auto each = sessions_.rbegin(); each != sessions_.rend(); ++each)
      if ((*each)->host == host && !(*each)->stopped) return each->get();
    return nullptr;
  }
  bool asks(const std::string& host) {
    return soon([&] { return with(host) != nullptr; });
  }
  /// Collectors of this tap, the first choice in front.
  static std::vector<std::string> ranked(std::vector<std::string> hosts) {
    std::sort(hosts.begin(), hosts.end(), [](const std::string& a, const std::string& b) {
      const auto score = [](const std::string& host) {
        return session::collector_score(kTapAddress, {*net::IpAddress::parse(host), 2003});
      };
      return score(a) > score(b);
    });
    return hosts;
  }

  boost::asio::io_context context_{1};
  std::map<std::string, std::vector<std::string>> names_;
  std::string own_;
  int look_ups_ = 0;
  bool refuse_ = false;
  std::vector<std::shared_ptr<PlayedSession>> sessions_;
  std::unique_ptr<ChosenPath> path_;
};

const std::vector<std::string> kThree = {"10.244.9.1", "10.244.9.2", "10.244.9.3"};

TEST_F(ChosenPathTest, HasOneSessionWithItsFirstChoice) {
  start_with(kThree);
  const auto order = ranked(kThree);
  ASSERT_TRUE(asks(order[0]));
  EXPECT_FALSE(path_->forwarding());
  with(order[0])->is("capturing");
  EXPECT_TRUE(path_->forwarding());
  turn_for(milliseconds(100));
  EXPECT_EQ(with(order[1]), nullptr);
  EXPECT_EQ(with(order[2]), nullptr);
  EXPECT_EQ(with(order[0])->sensor.certificate_host, "collectors") << "not the address";
  EXPECT_THAT(path_->loop().sensors(), ElementsAre(order[0] + ":2003"));
}

TEST_F(ChosenPathTest, BearsWithASilentCollectorForLessTimeThanWithAnOnlySensor) {
  start_with(kThree);
  const auto order = ranked(kThree);
  ASSERT_TRUE(asks(order[0]));
  EXPECT_EQ(with(order[0])->silence, milliseconds(5'000));
  EXPECT_EQ(session::SessionsConfig().sensor_silence, session::kUsualSilence);
}

TEST_F(ChosenPathTest, TakesTheNextOneWhenItsCollectorGoesAndComesBack) {
  start_with(kThree);
  const auto order = ranked(kThree);
  ASSERT_TRUE(asks(order[0]));
  with(order[0])->is("capturing");
  turn();
  with(order[0])->is("waiting", "the peer hung up");
  ASSERT_TRUE(asks(order[1]));
  with(order[1])->is("capturing");
  EXPECT_TRUE(path_->forwarding());
  // It is tried again, and the present session stays until it captures.
  ASSERT_TRUE(asks(order[0]));
  EXPECT_NE(with(order[1]), nullptr);
  with(order[0])->is("waiting", "connection refused");
  EXPECT_TRUE(soon([&] { return with(order[0]) == nullptr; }));
  EXPECT_TRUE(path_->forwarding());
  ASSERT_TRUE(asks(order[0]));
  with(order[0])->is("capturing");
  EXPECT_TRUE(soon([&] { return with(order[1]) == nullptr; }));
  EXPECT_TRUE(path_->forwarding());
  EXPECT_THAT(path_->loop().sensors(), ElementsAre(order[0] + ":2003"));
}

TEST_F(ChosenPathTest, MovesToABetterOneThatAppearsInTheName) {
  const auto order = ranked(kThree);
  start_with({order[1], order[2]});
  ASSERT_TRUE(asks(order[1]));
  with(order[1])->is("capturing");
  names_["collectors"] = kThree;
  ASSERT_TRUE(asks(order[0]));
  EXPECT_NE(with(order[1]), nullptr) << "until the new one captures";
  EXPECT_TRUE(path_->forwarding());
  with(order[0])->is("capturing");
  EXPECT_TRUE(soon([&] { return with(order[1]) == nullptr; }));
}

TEST_F(ChosenPathTest, LeavesOneThatHasLeftTheNameOnceAnotherCaptures) {
  start_with(kThree);
  const auto order = ranked(kThree);
  ASSERT_TRUE(asks(order[0]));
  with(order[0])->is("capturing");
  names_["collectors"] = {order[1], order[2]};
  ASSERT_TRUE(asks(order[1]));
  EXPECT_NE(with(order[0]), nullptr);
  with(order[1])->is("capturing");
  EXPECT_TRUE(soon([&] { return with(order[0]) == nullptr; }));
  EXPECT_TRUE(path_->forwarding());
}

TEST_F(ChosenPathTest, OneThatAnswersButDoesNotCaptureIsLeftAfterAWhile) {
  start_with(kThree);
  const auto order = ranked(kThree);
  ASSERT_TRUE(asks(order[0]));
  with(order[0])->is("ready");
  EXPECT_TRUE(asks(order[1]));
  EXPECT_TRUE(soon([&] { return with(order[0]) == nullptr; }));
}

TEST_F(ChosenPathTest, ANameThatCannotBeLookedUpKeepsItsCollectors) {
  start_with(kThree);
  const auto order = ranked(kThree);
  ASSERT_TRUE(asks(order[0]));
  with(order[0])->is("capturing");
  names_.clear();
  const int before = look_ups_;
  ASSERT_TRUE(soon([&] { return look_ups_ > before + 2; }));
  EXPECT_TRUE(path_->forwarding());
  with(order[0])->is("waiting", "the peer hung up");
  EXPECT_TRUE(asks(order[1])) << "the others are known";
}

TEST_F(ChosenPathTest, SaysWhyThereIsNoCollectorAtAll) {
  start(hash_of({"nowhere"}));
  ASSERT_TRUE(soon([&] { return !path_->sensors().at(0).reason.empty(); }));
  const auto told = path_->sensors();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].sensor, "nowhere:2003");
  EXPECT_EQ(told[0].state, "waiting");
  names_["nowhere"] = {"10.244.9.1"};
  EXPECT_TRUE(asks("10.244.9.1"));
}

TEST_F(ChosenPathTest, TriesAgainWhereNoSessionCouldBegin) {
  refuse_ = true;
  start_with({kThree[0]});
  ASSERT_TRUE(soon([&] { return sessions_.size() > 1; }));
  EXPECT_EQ(with(kThree[0]), nullptr);
  refuse_ = false;  // the files are whole again
  EXPECT_TRUE(asks(kThree[0]));
}

TEST_F(ChosenPathTest, TakesTheAddressesOfAllNames) {
  names_ = {{"a", {"10.244.9.1"}}, {"b", {"10.244.9.2", "10.244.9.3"}}};
  start(hash_of({"a", "b"}));
  const auto order = ranked(kThree);
  EXPECT_TRUE(soon([&] {
    PlayedSession* const session = with(order[0]);
    if (session == nullptr) return false;
    session->is("capturing");
    return true;
  }));
}

TEST_F(ChosenPathTest, APodThatIsACollectorItselfAsksNoOther) {
  own_ = ranked(kThree)[2];
  start_with(kThree);
  ASSERT_TRUE(asks(own_));
  with(own_)->is("waiting", "it is an address of this pod");
  turn_for(milliseconds(200));
  for (const auto& session : sessions_) EXPECT_TRUE(session->host.empty() || session->host == own_);
}

TEST_F(ChosenPathTest, FollowsTheRegistryIntoHashModeAndBack) {
  RunOptions plain;
  plain.sessions.sensors.push_back({.address = {"10.0.0.9", 2003}});
  start(plain);
  ASSERT_TRUE(asks("10.0.0.9"));
  with("10.0.0.9")->is("capturing");
  names_["collectors"] = kThree;
  EXPECT_TRUE(path_->follow(hash_of({"collectors"})));
  const auto order = ranked(kThree);
  ASSERT_TRUE(asks(order[0]));
  EXPECT_TRUE(path_->forwarding());
  with(order[0])->is("capturing");
  EXPECT_TRUE(soon([&] { return with("10.0.0.9") == nullptr; }));
  EXPECT_TRUE(path_->follow(plain));
  ASSERT_TRUE(asks("10.0.0.9"));
  with("10.0.0.9")->is("capturing");
  EXPECT_TRUE(soon([&] { return with(order[0]) == nullptr; }));
  const int before = look_ups_;
  turn_for(milliseconds(100));
  EXPECT_EQ(look_ups_, before) << "nobody needs them";
}

TEST_F(ChosenPathTest, KeepsItsCollectorWhenOnlyTheFilterChanges) {
  start_with(kThree);
  const auto order = ranked(kThree);
  ASSERT_TRUE(asks(order[0]));
  with(order[0])->is("capturing");
  const std::size_t before = sessions_.size();
  RunOptions filtered = hash_of({"collectors"});
  filtered.narrowing.filter = "tcp port 80";
  EXPECT_TRUE(path_->follow(filtered));
  turn_for(milliseconds(50));
  EXPECT_EQ(sessions_.size(), before);
  EXPECT_NE(with(order[0]), nullptr);
}

}  // namespace
}  // namespace sidetap
