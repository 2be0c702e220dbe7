// The capture of one interface that goes away and comes back, and of sensors that come and go.
#include "sidecar/path/capture_loop.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "sidecar/ownership/listening_sockets.h"
#include "tests/unit/sidecar_packet/bpf_machine.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {
namespace {

using testing::HasSubstr;

/// An interface that is there or not, and what it has for the reader.
struct Link {
  net::UniqueFd ready{eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};  // always readable
  std::atomic<bool> there{true};
  std::atomic<bool> up{true};
  std::atomic<bool> carrier{true};
  std::atomic<capture::LinkType> link{capture::LinkType::kEthernet};
  std::atomic<bool> silent{false};    // the source does not tell that it has gone
  std::atomic<unsigned> accepted{0};  // by the kernel's filter
  std::atomic<unsigned> waiting{0};   // of those, what can still be read
  std::function<void()> at_each_read = [] {};
  std::vector<capture::BpfInstruction> filter{};  // the one in force
};

class FakeSource final : public capture::PacketSource {
 public:
  explicit FakeSource(Link& device) : device_(device) {}
  capture::LinkType link_type() const override { return device_.link; }
  int descriptor() const override { return device_.ready.get(); }
  /// As the kernel does it tells once that the interface has gone; what it has can be read still.
  Result<std::size_t> read(capture::PacketHandler& handler, std::size_t most) override {
    device_.at_each_read();
    if (!device_.there && !device_.silent && !std::exchange(told_, true))
      return Error{"the interface went down"};
    std::size_t done = 0;
    for (; done < most && device_.waiting != 0; ++done, --device_.waiting)
      handler.on_packet(from_pod_);
    return done;
  }
  Result<void> set_filter(std::span<const capture::BpfInstruction> program) override {
    device_.filter.assign(program.begin(), program.end());
    return {};
  }
  capture::SourceCounts counts() override { return {.accepted = device_.accepted}; }
  int bound_index() const override { return device_.there ? 2 : -1; }

 private:
  Link& device_;
  bool told_ = false;
  const test::Bytes bytes_ =
      test::packet().from("10.0.0.1").to("8.8.8.8").udp(40000, 53).data(1000).ethernet();
  capture::CapturedPacket from_pod_ = [this] {
    capture::CapturedPacket packet;
    packet.bytes = bytes_;
    packet.length = static_cast<std::uint32_t>(bytes_.size());
    return packet;
  }();
};

class FakeDevice final : public capture::Device {
 public:
  explicit FakeDevice(Link& link) : link_(link) {}
  Result<std::unique_ptr<capture::PacketSource>> open(
      const capture::DeviceConfig& config) override {
    if (!link_.there) return Error{"there is no such interface"};
    link_.filter.assign(config.filter.begin(), config.filter.end());
    return std::unique_ptr<capture::PacketSource>(std::make_unique<FakeSource>(link_));
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    if (!link_.there) return {};
    return {.index = 2, .up = link_.up, .carrier = link_.carrier};
  }

 private:
  Link& link_;
};

class CaptureLoopTest : public testing::Test {
 protected:
  CaptureLoopTest() { make_loop(0); }
  ~CaptureLoopTest() override { loop_->finish(); }

  void make_loop(std::size_t backlog) {
    CaptureLoopConfig config;
    config.pipeline.backlog = backlog;
    config.interface = "eth0";
    config.engine.self.addresses = {ip("10.0.0.1")};
    // The capture thread answers by itself: the test waits for each answer.
    config.reply = [](const CommandQueue::Task& task) { task(); };
    config.on_change = [this] {
      note(!loop_->is_open() ? "closed" : loop_->is_working() ? "open" : "idle");
    };
    loop_ = std::make_unique<CaptureLoop>(std::move(config), std::make_unique<FakeDevice>(device_),
                                          std::make_unique<ownership::NoListeningSockets>());
  }

  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    if (noted_.empty() || noted_.back() != what) noted_.push_back(std::move(what));
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(const std::vector<std::string>& noted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return noted_ == noted; });
  }
  /// Hands `ask` a callback, and returns when it has been called.
  template <typename Ask>
  void wait_for_answer(Ask ask) {
    const auto answered = std::make_shared<std::promise<void>>();
    ask([answered] { answered->set_value(); });
    answered->get_future().wait();
  }
  void settle() {
    wait_for_answer([&](auto done) { loop_->settle(done); });
  }
  void stop(std::uint64_t capture) {
    wait_for_answer([&](auto done) { loop_->stop(capture, done); });
  }
  LoopCounts counts() {
    LoopCounts told;
    wait_for_answer([&](auto done) {
      loop_->counts([&told, done](LoopCounts counts) {
        told = std::move(counts);
        done();
      });
    });
    return told;
  }
  void wait_until_read() {
    while (device_.waiting != 0) settle();
    settle();
  }
  static session::CaptureOrder order() {
    session::CaptureOrder order;
    order.socket = net::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return order;
  }
  /// With a socket that is connected to `sensor`.
  static session::CaptureOrder order_of(const net::UniqueFd& sensor) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const there = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(sensor.get(), there, size), 0);
    EXPECT_EQ(getsockname(sensor.get(), there, &size), 0);
    session::CaptureOrder wanted = order();
    EXPECT_EQ(connect(wanted.socket.get(), there, size), 0);
    return wanted;
  }

  Link device_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> noted_;
  std::unique_ptr<CaptureLoop> loop_;
};

TEST_F(CaptureLoopTest, TellsWhenTheInterfaceHasGoneAndWhenItIsBack) {
  loop_->run();
  EXPECT_TRUE(loop_->is_open());
  device_.there = false;
  EXPECT_TRUE(wait_for({"closed"}));
  EXPECT_FALSE(loop_->is_open());
  device_.there = true;
  EXPECT_TRUE(wait_for({"closed", "open"}));
  EXPECT_TRUE(loop_->is_open());
}

TEST_F(CaptureLoopTest, FindsOutThatTheInterfaceHasGoneThoughTheSourceDoesNotTell) {
  device_.silent = true;
  loop_->run();
  device_.there = false;
  loop_->look_again();
  EXPECT_TRUE(wait_for({"closed"}));
  device_.there = true;
  // Nobody says so: it looks by itself.
  EXPECT_TRUE(wait_for({"closed", "open"}));
}

TEST_F(CaptureLoopTest, DoesNotWorkWhileTheInterfaceIsDownOrHasNoCarrier) {
  loop_->run();
  EXPECT_TRUE(loop_->is_working());
  for (std::atomic<bool>* cause : {&device_.up, &device_.carrier}) {
    *cause = false;
    EXPECT_TRUE(wait_for({"idle"}));
    EXPECT_TRUE(loop_->is_open());
    EXPECT_FALSE(loop_->is_working());
    *cause = true;
    EXPECT_TRUE(wait_for({"idle", "open"}));
    EXPECT_TRUE(loop_->is_working());
    const std::lock_guard lock(mutex_);
    noted_.clear();
  }
  EXPECT_EQ(counts().reopened, 0U) << "the kernel resumes by itself";
}

TEST_F(CaptureLoopTest, ANewFilterIsInForceAndStaysWhateverElseChanges) {
  const auto keeps = [&](std::uint16_t port) {
    const auto bytes = test::packet().from("8.8.8.8").to("10.0.0.1").tcp(40000, port).ethernet();
    return test::run_bpf(device_.filter, bytes, test::kPacketHost) != 0;
  };
  loop_->run();
  settle();
  EXPECT_TRUE(keeps(9100));
  loop_->set_narrowing({.filter = "not port 9100"});
  settle();
  EXPECT_FALSE(keeps(9100));
  EXPECT_TRUE(keeps(80));
  ownership::Self self;
  self.addresses = {ip("10.0.0.1"), ip("10.0.0.2")};
  loop_->set_self(self);
  settle();
  EXPECT_FALSE(keeps(9100));
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  device_.there = true;
  ASSERT_TRUE(wait_for({"closed", "open"}));
  EXPECT_FALSE(keeps(9100));
  EXPECT_TRUE(keeps(80));
  loop_->set_narrowing({});
  settle();
  EXPECT_TRUE(keeps(9100));
}

TEST_F(CaptureLoopTest, TheFilterHoldsAtOnceWhenTheInterfaceComesBackWithAnotherLinkLayer) {
  loop_->run();
  loop_->set_narrowing({.filter = "not port 9100"});
  settle();
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  device_.link = capture::LinkType::kRawIp;
  device_.there = true;
  ASSERT_TRUE(wait_for({"closed", "open"}));
  const auto keeps = [&](std::uint16_t port) {
    const auto bytes = test::packet().from("8.8.8.8").to("10.0.0.1").tcp(40000, port).network();
    return test::run_bpf(device_.filter, bytes, test::kPacketHost) != 0;
  };
  EXPECT_FALSE(keeps(9100));
  EXPECT_TRUE(keeps(80));
}

TEST_F(CaptureLoopTest, APauseHoldsForWhatIsReadThen) {
  loop_->run();
  loop_->set_narrowing({.paused = true});
  settle();
  device_.waiting = 3;
  wait_until_read();
  EXPECT_EQ(loop_->ledger().paused.value(), 3U);
  EXPECT_EQ(loop_->ledger().no_session.value(), 0U);
}

TEST_F(CaptureLoopTest, StartsNoCaptureWhileTheInterfaceIsNotOpen) {
  loop_->run();
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  const auto refused = loop_->start(order(), {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, HasSubstr("eth0 is not open"));
  device_.there = true;
  ASSERT_TRUE(wait_for({"closed", "open"}));
  const auto started = loop_->start(order(), {});
  ASSERT_TRUE(started);
  stop(*started);
}

TEST_F(CaptureLoopTest, CountsWhatTheInterfaceTookWithIt) {
  loop_->run();
  device_.accepted = 5;
  device_.waiting = 2;
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  const LoopCounts now = counts();
  EXPECT_EQ(now.source.accepted, 5U);
  EXPECT_EQ(loop_->ledger().read.value(), 2U);
  EXPECT_EQ(now.source.dropped, 3U);
}

TEST_F(CaptureLoopTest, GoesOnReadingWhileAStalledSensorsCaptureEnds) {
  constexpr unsigned kPackets = 500;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  const net::UniqueFd sensor(ends[1]);
  session::CaptureOrder order;
  order.kind = session::DataKind::kTcp;
  order.socket = net::UniqueFd(ends[0]);
  // The sensor stalls until its capture ends, and then takes a little whenever the tap reads.
  std::atomic<bool> ending{false};
  device_.at_each_read = [&, bytes = std::vector<char>(100'000)]() mutable {
    if (ending) (void)recv(sensor.get(), bytes.data(), bytes.size(), 0);
  };
  loop_->run();
  const auto capture = loop_->start(std::move(order), {});
  ASSERT_TRUE(capture);
  settle();  // what is read before the capture has begun is not its own
  device_.accepted = device_.waiting = kPackets;
  wait_until_read();
  EXPECT_LT(counts().forwarded, kPackets);
  ending = true;
  stop(*capture);
  EXPECT_EQ(counts().forwarded, kPackets);
  loop_->finish();  // what it reads for the sensor ends here
}

TEST_F(CaptureLoopTest, AnswersWhileItHandsOverWhatAnOutageHasLeft) {
  // Nothing takes what is kept, so there is nothing to wait for.
  loop_->run();
  wait_for_answer([&](auto done) {
    loop_->hand_over(done);
    EXPECT_EQ(counts().captures, 0U);
  });
}

TEST_F(CaptureLoopTest, SaysThatItHasHandedOverWhenNothingIsLeft) {
  constexpr unsigned kPackets = 500;
  const net::UniqueFd sensor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  make_loop(2U << 20);
  loop_->run();
  device_.accepted = device_.waiting = kPackets;
  wait_until_read();
  EXPECT_EQ(loop_->ledger().kept.value(), kPackets);

  ASSERT_TRUE(loop_->start(order_of(sensor), {}));
  wait_for_answer([&](auto done) {
    loop_->hand_over(done);
    EXPECT_EQ(counts().captures, 1U) << "it answers meanwhile";
  });
  EXPECT_EQ(loop_->ledger().released.value(), kPackets);
}

TEST_F(CaptureLoopTest, HandsOverToAFirstCaptureThatStartsWhenTheTapIsAboutToEnd) {
  constexpr unsigned kPackets = 500;
  const net::UniqueFd sensor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  make_loop(2U << 20);
  loop_->run();
  device_.accepted = device_.waiting = kPackets;
  wait_until_read();
  wait_for_answer([&](auto done) {
    loop_->hand_over(done);
    settle();  // the loop has seen that nobody takes what waits
    ASSERT_TRUE(loop_->start(order_of(sensor), {}));
  });
  loop_->finish();
  EXPECT_EQ(loop_->ledger().taken.value(), kPackets);
  EXPECT_EQ(loop_->ledger().no_session.value(), 0U);
}

TEST_F(CaptureLoopTest, DoesWhatIsAskedInOrderAndBeforeItEnds) {
  loop_->run();
  std::vector<std::string> done;
  const auto capture = loop_->start(order(), [&] { done.push_back("begun"); });
  ASSERT_TRUE(capture);
  loop_->stats(*capture, [&](rpcap::Stats) { done.push_back("stats"); });
  loop_->update_filter(*capture, {}, [&](Result<void> updated) {
    done.push_back(updated ? "updated" : updated.error().text);
  });
  loop_->stop(*capture, [&] { done.push_back("stopped"); });
  loop_->update_filter(*capture, {}, [&](Result<void> updated) {
    done.push_back(updated ? "updated" : updated.error().text);
  });
  loop_->finish();
  EXPECT_THAT(done, testing::ElementsAre("begun", "stats", "updated", "stopped",
                                         "there is no such capture"));
  EXPECT_EQ(counts().captures, 0U) << "asked of a loop that has ended";
}

}  // namespace
}  // namespace sidetap
