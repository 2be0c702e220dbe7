// A running loop passes from one set of captures to another.
#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/path/capture_loop.h"
#include "tests/support/addresses.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {
namespace {

/// Packets that are numbered from 1 by their source ports.
struct Feed {
  net::UniqueFd ready{eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};  // always readable
  std::atomic<unsigned> offered{0};
  std::atomic<unsigned> given{0};
};

class FeedSource final : public capture::PacketSource {
 public:
  explicit FeedSource(Feed& feed) : feed_(feed) {}
  capture::LinkType link_type() const override { return capture::LinkType::kEthernet; }
  int descriptor() const override { return feed_.ready.get(); }
  Result<std::size_t> read(capture::PacketHandler& handler, std::size_t most) override {
    std::size_t done = 0;
    // Few at a time, so that commands come in between.
    for (; done < std::min<std::size_t>(most, 3) && feed_.given < feed_.offered; ++done) {
      const auto number = static_cast<std::uint16_t>(feed_.given + 1);
      const test::Bytes bytes =
          test::packet().from("10.0.0.1").to("8.8.8.8").udp(number, 53).ethernet();
      capture::CapturedPacket packet;
      packet.bytes = bytes;
      packet.length = static_cast<std::uint32_t>(bytes.size());
      handler.on_packet(packet);
      ++feed_.given;
    }
    return done;
  }
  Result<void> set_filter(std::span<const capture::BpfInstruction>) override { return {}; }
  capture::SourceCounts counts() override { return {.accepted = feed_.given}; }
  int bound_index() const override { return 2; }

 private:
  Feed& feed_;
};

class FeedDevice final : public capture::Device {
 public:
  explicit FeedDevice(Feed& feed) : feed_(feed) {}
  Result<std::unique_ptr<capture::PacketSource>> open(const capture::DeviceConfig&) override {
    return std::unique_ptr<capture::PacketSource>(std::make_unique<FeedSource>(feed_));
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    return {.index = 2, .up = true, .carrier = true};
  }

 private:
  Feed& feed_;
};

using Numbers = std::vector<unsigned>;

/// Keeps the packets' numbers, once they are flushed. Look at them when the loop has ended.
class NumberedOutput final : public forwarding::Output {
 public:
  explicit NumberedOutput(Numbers& into) : into_(into) {}
  void add(const forwarding::OutgoingPacket& packet) override {
    test::Bytes whole(packet.head.begin(), packet.head.end());
    whole.insert(whole.end(), packet.body.begin(), packet.body.end());
    constexpr std::size_t kSourcePort = 14 + 20;
    packed_.push_back(std::to_integer<unsigned>(whole[kSourcePort]) << 8 |
                      std::to_integer<unsigned>(whole[kSourcePort + 1]));
  }
  void flush() override {
    into_.insert(into_.end(), packed_.begin(), packed_.end());
    counts_.forwarded.add(packed_.size());
    packed_.clear();
  }

 private:
  Numbers& into_;
  Numbers packed_;
};

Numbers numbers(unsigned from, unsigned to) {
  Numbers all;
  for (unsigned i = from; i <= to; ++i) all.push_back(i);
  return all;
}

Receivers every_one_of(std::vector<std::string> sensors) {
  return {.sensors = std::move(sensors), .every = true};
}

class StagesTest : public testing::Test {
 protected:
  ~StagesTest() override {
    if (loop_) loop_->finish();
  }

  void run(const Receivers& receivers) {
    CaptureLoopConfig config;
    config.interface = "eth0";
    config.sensors = receivers.sensors;
    config.pipeline.expected = receivers.expected();
    config.pipeline.keep_without_capture = receivers.configured;
    config.pipeline.backlog = 2U << 20;
    config.engine.self.addresses = {ip("10.0.0.1")};
    config.reply = [](const CommandQueue::Task& task) { task(); };
    loop_ = std::make_unique<CaptureLoop>(std::move(config), std::make_unique<FeedDevice>(feed_),
                                          std::make_unique<ownership::NoListeningSockets>());
    loop_->run();
  }
  std::uint64_t capture(Numbers& into, const std::string& key, std::uint64_t stage) {
    const std::uint64_t id =
        loop_->start_output(std::make_unique<NumberedOutput>(into), key, stage, {});
    settle();
    return id;
  }
  /// Of a client that connected to the tap.
  void client(const net::UniqueFd& socket_of_client) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const there = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(bind(socket_of_client.get(), there, size), 0);
    ASSERT_EQ(getsockname(socket_of_client.get(), there, &size), 0);
    session::CaptureOrder order;
    order.client = true;
    order.socket = net::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(order.socket.get(), there, size), 0);
    ASSERT_TRUE(loop_->start(std::move(order), {}));
    settle();
  }
  template <typename Ask>
  void wait_for(Ask ask) {
    const auto answered = std::make_shared<std::promise<void>>();
    ask([answered] { answered->set_value(); });
    answered->get_future().wait();
  }
  void settle() {
    wait_for([&](auto done) { loop_->settle(done); });
  }
  void advance(std::uint64_t stage, const Receivers& receivers) {
    wait_for([&](auto done) { loop_->advance(stage, receivers, done); });
  }
  void offer(unsigned more) { feed_.offered += more; }
  void wait_until_read() {
    while (feed_.given < feed_.offered) settle();
    settle();
  }
  void pass(unsigned more) {
    offer(more);
    wait_until_read();
  }
  LoopCounts counts() {
    LoopCounts told;
    wait_for([&](auto done) {
      loop_->counts([&told, done](LoopCounts counts) {
        told = std::move(counts);
        done();
      });
    });
    return told;
  }

  Feed feed_;
  std::unique_ptr<CaptureLoop> loop_;
};

TEST_F(StagesTest, EveryPacketGoesToOneOfTheStages) {
  run(every_one_of({"old"}));
  Numbers old, fresh;
  const auto former = capture(old, "old", 0);
  capture(fresh, "new", 1);
  pass(100);
  offer(600);
  advance(1, every_one_of({"new"}));
  EXPECT_THAT(loop_->sensors(), testing::ElementsAre("new"));
  wait_until_read();
  wait_for([&](auto done) { loop_->stop(former, done); });
  pass(100);
  loop_->finish();
  EXPECT_GE(old.size(), 100U);
  EXPECT_GE(fresh.size(), 100U);
  const LoopCounts told = counts();
  EXPECT_EQ(told.forwarded, 800U) << "earlier stages stay in the totals";
  EXPECT_EQ(told.find("old")->forwarded, old.size());
  EXPECT_EQ(told.find("new")->forwarded, fresh.size());
  Numbers both = old;
  both.insert(both.end(), fresh.begin(), fresh.end());
  EXPECT_EQ(both, numbers(1, 800)) << "none lost, none doubled, none overtaken";
  EXPECT_EQ(loop_->ledger().taken.value(), 800U);
  EXPECT_EQ(loop_->ledger().kept.value(), loop_->ledger().released.value());
}

TEST_F(StagesTest, WhatIsPackedForAFormerCaptureIsSentThoughItNeverEnds) {
  run(every_one_of({"old"}));
  Numbers old;
  capture(old, "old", 0);
  offer(5'000);
  while (feed_.given < 30) std::this_thread::yield();
  advance(1, every_one_of({"new"}));
  wait_until_read();
  loop_->finish();
  EXPECT_EQ(loop_->ledger().taken.value(), old.size());
}

TEST_F(StagesTest, ACaptureOfALaterStageEndsNoOutageUntilItsStageComes) {
  run(every_one_of({"old"}));
  Numbers fresh;
  capture(fresh, "new", 1);
  EXPECT_EQ(counts().captures, 1U);
  pass(100);
  EXPECT_EQ(loop_->ledger().kept.value(), 100U);
  EXPECT_EQ(loop_->ledger().taken.value(), 0U);
  advance(1, every_one_of({"new"}));
  while (loop_->ledger().released.value() < 100) settle();
  pass(50);
  loop_->finish();
  EXPECT_EQ(fresh, numbers(1, 150));
}

TEST_F(StagesTest, WhatComesWhileTheNewStageHasNoCaptureYetWaitsForIt) {
  run(every_one_of({"old"}));
  Numbers old, fresh;
  capture(old, "old", 0);
  pass(50);
  advance(1, every_one_of({"new"}));
  pass(50);
  EXPECT_EQ(loop_->ledger().no_session.value(), 0U);
  capture(fresh, "new", 1);
  while (loop_->ledger().released.value() < loop_->ledger().kept.value()) settle();
  loop_->finish();
  EXPECT_EQ(old, numbers(1, 50));
  EXPECT_EQ(fresh, numbers(51, 100));
}

TEST_F(StagesTest, ACaptureThatAFormerStageStartsLateGetsNothing) {
  run(every_one_of({"old"}));
  Numbers late, fresh;
  capture(fresh, "new", 1);
  advance(1, every_one_of({"new"}));
  const auto former = capture(late, "old", 0);
  pass(50);
  wait_for([&](auto done) { loop_->stop(former, done); });
  loop_->finish();
  EXPECT_TRUE(late.empty());
  EXPECT_EQ(fresh, numbers(1, 50));
}

TEST_F(StagesTest, AStageMayBalance) {
  run(every_one_of({"old"}));
  Numbers old, left, right;
  capture(old, "old", 0);
  capture(left, "left", 1);
  capture(right, "right", 1);
  pass(10);
  advance(1, {.sensors = {"left", "right"}, .balance = true});
  pass(300);
  EXPECT_EQ(counts().find("left")->missed, 0U);
  loop_->finish();
  EXPECT_EQ(old, numbers(1, 10));
  EXPECT_GT(left.size(), 50U);
  EXPECT_GT(right.size(), 50U);
  Numbers both = left;
  both.insert(both.end(), right.begin(), right.end());
  std::sort(both.begin(), both.end());
  EXPECT_EQ(both, numbers(11, 310));
}

TEST_F(StagesTest, WhatASensorMissesIsCountedByWhoIsExpected) {
  run(every_one_of({"a", "b"}));
  Numbers a, c;
  capture(a, "a", 0);
  capture(c, "c", 1);
  pass(20);
  EXPECT_EQ(counts().find("b")->missed, 20U);
  advance(1, every_one_of({"b", "c"}));
  pass(5);
  const LoopCounts told = counts();
  EXPECT_EQ(told.find("a")->missed, 0U) << "nobody expects it any more";
  EXPECT_EQ(told.find("b")->missed, 25U);
  EXPECT_EQ(told.find("c")->missed, 0U);
  EXPECT_EQ(told.sensors.size(), 3U) << "b is one sensor, and a keeps its counts";
  loop_->finish();
}

TEST_F(StagesTest, AClientsCopiesGoOn) {
  run(every_one_of({"old"}));
  const net::UniqueFd wireshark(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  client(wireshark);
  Numbers old, fresh;
  capture(old, "old", 0);
  capture(fresh, "new", 1);
  pass(20);
  advance(1, every_one_of({"new"}));
  pass(20);
  loop_->finish();
  const LoopCounts told = counts();
  EXPECT_EQ(told.copies.forwarded, 40U);
  EXPECT_EQ(told.forwarded, 40U);
  EXPECT_EQ(old.size() + fresh.size(), 40U);
}

TEST_F(StagesTest, AClientTakesThePlaceOfSensorsAsLongAsThereAreNone) {
  run({.configured = false});
  const net::UniqueFd wireshark(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  client(wireshark);
  Numbers fresh;
  capture(fresh, "new", 1);
  pass(20);
  advance(1, every_one_of({"new"}));
  pass(30);
  advance(2, {.configured = false});
  pass(40);
  loop_->finish();
  const LoopCounts told = counts();
  EXPECT_EQ(fresh, numbers(21, 50));
  EXPECT_EQ(told.forwarded, 20U + 30U + 40U) << "nothing is counted twice";
  EXPECT_EQ(told.copies.forwarded, 30U);
  EXPECT_EQ(loop_->ledger().taken.value(), 90U);
}

}  // namespace
}  // namespace sidetap
