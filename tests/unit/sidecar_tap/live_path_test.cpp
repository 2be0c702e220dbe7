// A path whose delivery is replaced while it runs.
#include "sidecar/tap/live_path.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "sidecar/ownership/listening_sockets.h"
#include "tests/unit/sidecar_tap/quiet_device.h"

namespace sidetap {
namespace {

using testing::ElementsAre;

/// What became of one delivery, and what it says.
struct Made {
  std::uint64_t stage = 0;
  std::vector<std::string> of{};  // the sensors that were asked for
  bool forwards = false;
  bool gone = false;
  bool stopped = false;
  int dialled_soon = 0;
  std::string state = "waiting";  // of each sensor
  std::function<void()> changed{};

  void forward(bool does) {
    forwards = does;
    state = does ? "capturing" : "waiting";
    changed();
  }
};

class FakeDelivery final : public Delivery {
 public:
  FakeDelivery(std::shared_ptr<Made> made, bool works) : made_(std::move(made)), works_(works) {}
  ~FakeDelivery() override { made_->gone = true; }
  Result<void> start() override {
    if (!works_) return Error{"it cannot work"};
    return {};
  }
  void dial_soon() override { ++made_->dialled_soon; }
  boost::asio::awaitable<void> stop() override {
    made_->stopped = true;
    co_return;
  }
  bool forwarding() const override { return made_->forwards; }
  std::vector<registry::SensorReport> sensors() const override {
    std::vector<registry::SensorReport> reports;
    for (const std::string& sensor : made_->of)
      reports.push_back({.sensor = sensor, .state = made_->state});
    return reports;
  }
  void on_forwarding_changed(std::function<void()> callback) override {
    made_->changed = std::move(callback);
  }

 private:
  std::shared_ptr<Made> made_;
  bool works_;
};

RunOptions to(const std::vector<std::string>& hosts) {
  RunOptions options;
  for (const std::string& host : hosts)
    options.sessions.sensors.push_back({.address = {host, 2003}});
  return options;
}

class LivePathTest : public testing::Test {
 protected:
  ~LivePathTest() override {
    context_.restart();
    async::run_to_end(context_, path_->stop());
  }

  void start(const RunOptions& options, std::chrono::milliseconds patience = LivePath::kPatience) {
    CaptureLoopConfig config;
    config.interface = "eth0";
    path_ = std::make_unique<LivePath>(
        context_.get_executor(),
        std::make_unique<CaptureLoop>(std::move(config), std::make_unique<QuietDevice>(),
                                      std::make_unique<ownership::NoListeningSockets>()),
        [this](const RunOptions& asked, std::uint64_t stage) -> std::unique_ptr<Delivery> {
          auto made = std::make_shared<Made>();
          made->stage = stage;
          for (const session::Sensor& sensor : asked.sessions.sensors)
            made->of.push_back(sensor.address.host);
          made_.push_back(made);
          return std::make_unique<FakeDelivery>(made, works_);
        },
        [this] { ++changes_; }, patience);
    ASSERT_TRUE(path_->start(options));
  }
  void turn() {
    context_.restart();
    context_.poll();
  }
  void turn_for(std::chrono::milliseconds time) {
    context_.restart();
    context_.run_for(time);
  }
  void follow(const RunOptions& options) {
    (void)path_->follow(options);
    turn();
  }
  /// The sensors that the path tells of.
  std::vector<std::string> told() const {
    std::vector<std::string> names;
    for (const registry::SensorReport& each : path_->sensors()) names.push_back(each.sensor);
    return names;
  }

  boost::asio::io_context context_{1};
  std::vector<std::shared_ptr<Made>> made_;
  bool works_ = true;
  int changes_ = 0;
  std::unique_ptr<LivePath> path_;
};

TEST_F(LivePathTest, PassesToTheNewDeliveryWhenThatForwards) {
  start(to({"old"}));
  made_[0]->forward(true);
  EXPECT_TRUE(path_->forwarding());
  follow(to({"new"}));
  ASSERT_EQ(made_.size(), 2U);
  EXPECT_GT(made_[1]->stage, made_[0]->stage);
  EXPECT_FALSE(made_[0]->stopped);
  EXPECT_THAT(told(), ElementsAre("old", "new"));
  EXPECT_TRUE(path_->forwarding());

  const int before = changes_;
  made_[1]->forward(true);
  turn();
  EXPECT_THAT(path_->loop().sensors(), ElementsAre("new:2003"));
  EXPECT_TRUE(made_[0]->stopped);
  EXPECT_FALSE(made_[1]->stopped);
  EXPECT_THAT(told(), ElementsAre("new"));
  EXPECT_TRUE(path_->forwarding()) << "there was no moment without";
  EXPECT_GT(changes_, before);
}

TEST_F(LivePathTest, WhoIsStillAwaitedAtTheEndIsDialledSoon) {
  start(to({"old"}));
  made_[0]->forward(true);
  path_->dial_soon();
  EXPECT_EQ(made_[0]->dialled_soon, 1);
  follow(to({"new"}));
  path_->dial_soon();
  EXPECT_EQ(made_[0]->dialled_soon, 2);
  EXPECT_EQ(made_[1]->dialled_soon, 1);
}

TEST_F(LivePathTest, DoesNotWaitForSensorsThatAreGone) {
  start(to({"old"}));
  follow(to({"new"}));
  EXPECT_TRUE(made_[0]->stopped);
  EXPECT_THAT(path_->loop().sensors(), ElementsAre("new:2003"))
      << "what comes now waits for the new one";
  EXPECT_FALSE(path_->forwarding());
  made_[1]->forward(true);
  EXPECT_TRUE(path_->forwarding());
}

TEST_F(LivePathTest, StaysWhileOneOfTheFormerSensorsStillGetsPackets) {
  start(to({"old", "away"}));
  made_[0]->state = "capturing";
  follow(to({"new"}));
  EXPECT_FALSE(made_[0]->stopped);
  EXPECT_FALSE(path_->forwarding()) << "one of them gets nothing";
  made_[0]->forward(false);
  turn();
  EXPECT_TRUE(made_[0]->stopped);
  EXPECT_THAT(path_->loop().sensors(), ElementsAre("new:2003"));
}

TEST_F(LivePathTest, PassesAfterAWhileThoughTheNewSensorIsNotThere) {
  start(to({"old"}), std::chrono::milliseconds(20));
  made_[0]->forward(true);
  follow(to({"new"}));
  EXPECT_FALSE(made_[0]->stopped);
  turn_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(made_[0]->stopped);
  EXPECT_THAT(told(), ElementsAre("new"));
}

TEST_F(LivePathTest, ALaterCallReplacesWhatIsUnderWay) {
  start(to({"old"}));
  made_[0]->forward(true);
  follow(to({"new"}));
  follow(to({"newer"}));
  ASSERT_EQ(made_.size(), 3U);
  EXPECT_TRUE(made_[1]->stopped);
  EXPECT_FALSE(made_[0]->stopped);
  EXPECT_GT(made_[2]->stage, made_[1]->stage) << "the one that ends gets no packet";
  made_[1]->forward(true);
  turn();
  EXPECT_THAT(told(), ElementsAre("old", "newer"));
  made_[2]->forward(true);
  turn();
  EXPECT_THAT(told(), ElementsAre("newer"));
}

TEST_F(LivePathTest, WhatIsInForceDropsWhatIsUnderWay) {
  start(to({"old"}));
  made_[0]->forward(true);
  follow(to({"new"}));
  follow(to({"old"}));
  EXPECT_EQ(made_.size(), 2U);
  EXPECT_TRUE(made_[1]->stopped);
  EXPECT_FALSE(made_[0]->stopped);
  EXPECT_THAT(told(), ElementsAre("old"));
  EXPECT_TRUE(path_->forwarding());
}

TEST_F(LivePathTest, DoesNothingIfItIsAskedForTheSame) {
  start(to({"old"}));
  made_[0]->forward(true);
  RunOptions same = to({"old"});
  same.sessions.sensors[0].default_port = true;
  follow(same);
  EXPECT_EQ(made_.size(), 1U);
  follow(to({"new"}));
  follow(to({"new"}));
  EXPECT_EQ(made_.size(), 2U);
}

TEST_F(LivePathTest, AnotherModeEncryptionOrOutputIsAnotherDelivery) {
  start(to({"a", "b"}));
  RunOptions options = to({"a", "b"});
  options.sessions.mode = session::SensorMode::kFailover;
  follow(options);
  EXPECT_EQ(made_.size(), 2U);
  options.sessions.tls.role = session::TlsRole::kRegistry;
  follow(options);
  EXPECT_EQ(made_.size(), 3U);
  options.sessions.tls.role = session::TlsRole::kNone;
  options.output.kind = OutputKind::kVxlan;
  options.output.vxlan.receivers = {{"a", 4789}};
  follow(options);
  EXPECT_EQ(made_.size(), 4U);
  EXPECT_THAT(path_->loop().sensors(), ElementsAre("a:4789"));
}

TEST_F(LivePathTest, ADeliveryThatCannotStartLeavesTheFormerOne) {
  start(to({"old"}));
  made_[0]->forward(true);
  works_ = false;
  EXPECT_FALSE(path_->follow(to({"new"})));
  turn();
  EXPECT_TRUE(made_[1]->gone);
  EXPECT_FALSE(made_[0]->stopped);
  EXPECT_THAT(told(), ElementsAre("old"));
}

TEST_F(LivePathTest, NarrowsAtOnceWhereTheSensorsStayElseAtThePassing) {
  start(to({"old"}));
  made_[0]->forward(true);
  RunOptions filtered = to({"old"});
  filtered.narrowing.filter = "tcp port 80";
  follow(filtered);
  follow(to({"old"}));
  const std::size_t without = QuietSource::last_program;
  follow(filtered);
  const std::size_t with = QuietSource::last_program;
  EXPECT_GT(with, without);
  follow(to({"new"}));
  EXPECT_EQ(QuietSource::last_program, with) << "the former sensor gets nothing more than before";
  made_[1]->forward(true);
  turn();
  EXPECT_EQ(QuietSource::last_program, without);
}

TEST_F(LivePathTest, StopsWhatIsUnderWayToo) {
  start(to({"old"}));
  made_[0]->forward(true);
  follow(to({"new"}));
  context_.restart();
  async::run_to_end(context_, path_->stop());
  EXPECT_TRUE(made_[0]->stopped);
  EXPECT_TRUE(made_[1]->gone) << "without a wait for its last segments";
  follow(to({"newer"}));
  EXPECT_EQ(made_.size(), 2U);
}

}  // namespace
}  // namespace sidetap
