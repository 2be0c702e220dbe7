// The loopback interface beside the pod's own: what reaches the captures of both.
#include "sidecar/path/leg_path.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/mesh/leg_filter.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/path/capture_loop.h"
#include "tests/unit/sidecar_mesh/mesh_fixture.h"
#include "tests/unit/sidecar_path/pipeline_fixture.h"

namespace sidetap {
namespace {

using test::Bytes;

/// The loopback interface, with what a test puts there.
struct FakeLoopback {
  std::vector<Bytes> waiting;
  std::vector<capture::BpfInstruction> filter;
  std::uint64_t accepted = 0;
  capture::Direction direction = capture::Direction::kUnknown;
};

class LoopbackSource final : public capture::PacketSource {
 public:
  explicit LoopbackSource(FakeLoopback& loopback) : loopback_(loopback) {}
  capture::LinkType link_type() const override { return capture::LinkType::kEthernet; }
  int descriptor() const override { return -1; }
  Result<std::size_t> read(capture::PacketHandler& handler, std::size_t) override {
    for (Bytes& bytes : loopback_.waiting) {
      capture::CapturedPacket packet;
      packet.bytes = bytes;
      packet.writable = bytes;
      packet.length = static_cast<std::uint32_t>(bytes.size());
      packet.offload.known = true;
      packet.seconds = 2;
      packet.direction = loopback_.direction;
      ++loopback_.accepted;
      handler.on_packet(packet);
    }
    return std::exchange(loopback_.waiting, {}).size();
  }
  Result<void> set_filter(std::span<const capture::BpfInstruction> program) override {
    loopback_.filter.assign(program.begin(), program.end());
    return {};
  }
  capture::SourceCounts counts() override { return {.accepted = loopback_.accepted}; }
  int bound_index() const override { return 1; }

 private:
  FakeLoopback& loopback_;
};

class LoopbackDevice final : public capture::Device {
 public:
  explicit LoopbackDevice(FakeLoopback& loopback) : loopback_(loopback) {}
  Result<std::unique_ptr<capture::PacketSource>> open(
      const capture::DeviceConfig& config) override {
    loopback_.filter.assign(config.filter.begin(), config.filter.end());
    return std::unique_ptr<capture::PacketSource>(std::make_unique<LoopbackSource>(loopback_));
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    return {.index = 1, .up = true, .carrier = true};
  }

 private:
  FakeLoopback& loopback_;
};

constexpr std::uint8_t kSynFlag = capture::kTcpSyn;
constexpr std::uint8_t kAckFlag = capture::kTcpAck;
const std::string kClientHello = "\x16\x03\x01 hello";
const std::string kRecord = "\x17\x03\x03 data";

class LegPathTest : public PipelineTest {
 protected:
  LegPathTest() { pipeline_.add(forwarder(got_), "sensor"); }

  void start(bool leave_out_ciphertext, std::vector<mesh::Listener> listeners) {
    LegPathConfig config;
    config.leave_out_ciphertext = leave_out_ciphertext;
    auto owners = std::make_unique<mesh::FakeOwners>();
    owners->listening = std::move(listeners);
    owners_ = owners.get();
    path_ = std::make_unique<LegPath>(std::move(config),
                                      LegDevices{std::make_unique<LoopbackDevice>(loopback_),
                                                 std::make_unique<LoopbackDevice>(openings_)},
                                      std::move(owners));
    path_->connect(pipeline_);
    ownership::Self self;
    self.addresses = {ip("10.0.0.1")};
    self.mac = test::mac(1);
    path_->set_self(self);
    path_->set_mtu(1500);
    path_->set_link_type(capture::LinkType::kEthernet);
    path_->look();
  }
  void start_istio(bool leave_out_ciphertext) {
    start(leave_out_ciphertext, mesh::listeners_of({15001, 15006, 15020, 15021}));
  }

  static Bytes segment(std::string_view from, std::uint16_t from_port, std::string_view to,
                       std::uint16_t to_port, std::uint8_t flags, std::string_view text = {}) {
    Bytes bytes = test::packet().from(from).to(to).tcp(from_port, to_port, flags).ethernet();
    for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
    const std::size_t length = bytes.size() - 14;
    bytes[16] = static_cast<std::byte>(length >> 8);
    bytes[17] = static_cast<std::byte>(length);
    return bytes;
  }
  /// A leg's packet of the client, or of the application.
  void on_loopback(bool to_server, std::uint8_t flags, std::string_view text = {}) {
    loopback_.waiting.push_back(to_server
                                    ? segment("127.0.0.6", 40'000, "10.0.0.1", 8080, flags, text)
                                    : segment("10.0.0.1", 8080, "127.0.0.6", 40'000, flags, text));
    path_->read(kPacketsPerRead, now_);
  }
  void on_interface(bool to_server, std::uint8_t flags, std::string_view text = {},
                    std::uint16_t port = 8080) {
    const Bytes bytes = to_server ? segment("8.8.8.8", 50'000, "10.0.0.1", port, flags, text)
                                  : segment("10.0.0.1", port, "8.8.8.8", 50'000, flags, text);
    capture::CapturedPacket packet;
    packet.bytes = bytes;
    packet.length = static_cast<std::uint32_t>(bytes.size());
    packet.offload.known = true;
    packet.seconds = 1;
    path_->inlet().on_packet(packet);
  }
  void wait_out() {
    now_ = LegPath::Clock::now() + 2 * LegPath::kWait;
    path_->read(kPacketsPerRead, now_);
  }
  std::uint64_t left_out(ownership::Rule rule) const {
    return pipeline_.ledger().not_owned[static_cast<std::size_t>(rule)].value();
  }
  std::uint64_t legs() const {
    return pipeline_.ledger().owned[static_cast<std::size_t>(ownership::Rule::kMeshLeg)].value();
  }

  std::vector<Bytes> got_;
  Pipeline pipeline_ = make({});
  FakeLoopback loopback_;
  FakeLoopback openings_;
  mesh::FakeOwners* owners_ = nullptr;
  std::unique_ptr<LegPath> path_;
  LegPath::Clock::time_point now_ = LegPath::Clock::now();
};

TEST_F(LegPathTest, ForwardsALegFromItsFirstPacketOn) {
  start_istio(false);
  on_loopback(true, kSynFlag);
  on_loopback(false, kSynFlag | kAckFlag);
  EXPECT_TRUE(got_.empty());
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(got_.size(), 3U);
  EXPECT_EQ(legs(), 3U);
  on_loopback(false, kAckFlag, "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(got_.size(), 4U);
}

TEST_F(LegPathTest, AsksWhoOpensAConnectionBeforeItsPacketsAreRead) {
  start(false, mesh::listeners_of({4140, 4143, 4190, 4191}, 2102));
  const auto pass = [this](std::uint16_t port) {
    for (const bool opens : {true, false})
      loopback_.waiting.push_back(segment("10.0.0.1", port, "10.0.0.1", 8080,
                                          opens ? kSynFlag : kAckFlag, opens ? "" : "GET /"));
    path_->read(kPacketsPerRead, now_);
  };
  for (const std::uint16_t port : {std::uint16_t{40'000}, std::uint16_t{40'001}})
    owners_->open("10.0.0.1", port, "10.0.0.1", 8080, 2102);
  openings_.waiting.push_back(segment("10.0.0.1", 40'000, "10.0.0.1", 8080, kSynFlag));
  path_->read(kPacketsPerRead, now_);
  owners_->sockets.clear();
  pass(40'000);
  EXPECT_EQ(got_.size(), 2U);
  pass(40'001);
  EXPECT_EQ(got_.size(), 2U) << "nobody can say any more who has opened it";
}

TEST_F(LegPathTest, LooksAtNoOpeningsWithoutAMesh) {
  start(false, {});
  const auto nothing = mesh::build_leg_filter({}, {});
  EXPECT_EQ(openings_.filter, nothing);
  owners_->listening = mesh::listeners_of({15001, 15006, 15020, 15021});
  path_->look();
  EXPECT_GT(openings_.filter.size(), nothing.size());
}

TEST_F(LegPathTest, GivesLegsTheMacAddressesOfTheInterface) {
  start_istio(false);
  on_interface(true, kSynFlag, {}, 443);  // from mac(1) to mac(2), as the builder says
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET /");
  const auto view = capture::parse_packet(capture::LinkType::kEthernet, got_.back());
  EXPECT_EQ(view.destination_mac, test::mac(1));
  EXPECT_EQ(view.source_mac, test::mac(2));
}

TEST_F(LegPathTest, LeavesOutWhatIsNoLegAndCountsIt) {
  start_istio(false);
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET /healthz HTTP/1.1\r\nUser-Agent: kube-probe/1.31\r\n\r\n");
  EXPECT_TRUE(got_.empty());
  EXPECT_EQ(left_out(ownership::Rule::kLoopback), 2U);
  EXPECT_EQ(pipeline_.ledger().read.value(), 2U);
}

TEST_F(LegPathTest, TakesOneOfTheTwoCopiesOfAPacket) {
  start_istio(false);
  loopback_.direction = capture::Direction::kOutbound;
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(got_.empty());
  EXPECT_EQ(left_out(ownership::Rule::kLoopback), 2U);
}

TEST_F(LegPathTest, ASilentLegGoesOnAfterAWhile) {
  start_istio(false);
  on_loopback(true, kSynFlag);
  wait_out();
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, FollowsAProxyThatStartsAndEnds) {
  start(false, mesh::listeners_of({}));
  EXPECT_EQ(path_->present_mesh().kind, mesh::Kind::kNone);
  ASSERT_EQ(loopback_.filter.size(), 1U) << "nothing passes";
  owners_->listening = mesh::listeners_of({15001, 15006, 15021});
  path_->look();
  EXPECT_EQ(path_->present_mesh().kind, mesh::Kind::kIstio);
  EXPECT_GT(loopback_.filter.size(), 1U);
  owners_->listening = mesh::listeners_of({});
  path_->look();
  EXPECT_EQ(loopback_.filter.size(), 1U);
}

TEST_F(LegPathTest, BothForwardsCiphertextAtOnce) {
  start_istio(false);
  on_interface(true, kSynFlag);
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, PlaintextLeavesOutTheCiphertextOfALeg) {
  start_istio(true);
  on_interface(true, kSynFlag);
  on_interface(false, kSynFlag | kAckFlag);
  on_interface(true, kAckFlag, kClientHello);
  on_interface(false, kAckFlag, std::string(300, 's'));
  on_interface(true, kAckFlag, kRecord);
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  on_interface(false, kAckFlag, std::string(400, 'a'));
  EXPECT_EQ(got_.size(), 2U) << "the leg";
  wait_out();
  EXPECT_EQ(got_.size(), 2U);
  EXPECT_EQ(left_out(ownership::Rule::kMeshCovered), 6U);
  on_interface(true, kAckFlag, kRecord);
  EXPECT_EQ(left_out(ownership::Rule::kMeshCovered), 7U);
}

TEST_F(LegPathTest, PlaintextKeepsWhatHasNoLegInOrder) {
  start_istio(true);
  on_interface(true, kSynFlag);
  on_interface(true, kAckFlag, kClientHello);
  on_interface(false, capture::kTcpRst | kAckFlag);
  EXPECT_TRUE(got_.empty()) << "it waits";
  wait_out();
  ASSERT_EQ(got_.size(), 3U);
  const auto flags = [](const Bytes& bytes) {
    return capture::parse_packet(capture::LinkType::kEthernet, bytes).tcp_flags;
  };
  EXPECT_EQ(flags(got_[0]), kSynFlag);
  EXPECT_EQ(flags(got_[2]), capture::kTcpRst | kAckFlag);
}

TEST_F(LegPathTest, PlaintextDelaysNothingElse) {
  start_istio(true);
  on_interface(true, kSynFlag, {}, 15021);
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, WhatWaitsIsBounded) {
  start_istio(true);
  on_interface(true, kSynFlag);
  const std::string large(60'000, 'x');
  for (int i = 0; i < 100; ++i) on_interface(false, kAckFlag, large);
  EXPECT_GT(got_.size(), 20U);
}

TEST_F(LegPathTest, WhatWaitsIsBoundedForSmallPacketsToo) {
  start_istio(true);
  for (int i = 0; i < 40'000; ++i) on_interface(false, kAckFlag);
  EXPECT_GT(pipeline_.ledger().read.value(), 10'000U)
      << "each costs several times its bytes while it waits";
}

TEST_F(LegPathTest, AHandshakeThatIsPaddedDoesNotWait) {
  start_istio(false);
  Bytes bytes = segment("127.0.0.6", 40'000, "10.0.0.1", 8080, kSynFlag);
  bytes.resize(2'000);
  loopback_.waiting.push_back(std::move(bytes));
  path_->read(kPacketsPerRead, now_);
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, AtTheEndNothingWaits) {
  start_istio(true);
  on_interface(true, kSynFlag);
  on_loopback(true, kSynFlag);
  path_->release(now_, true);
  EXPECT_EQ(got_.size(), 2U);
}

TEST_F(LegPathTest, TheOperatorsFilterHoldsForLegsAsTheyLeave) {
  start_istio(false);
  path_->set_filter("not host 127.0.0.6");
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(got_.empty());
  path_->set_filter("dst port 8080");
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, ALegThatTheFilterLeavesOutStandsForItsCiphertextAllTheSame) {
  start_istio(true);
  path_->set_filter("not host 127.0.0.6");
  on_interface(true, kSynFlag);
  on_interface(true, kAckFlag, kClientHello);
  on_interface(false, kAckFlag, std::string(300, 's'));
  on_interface(true, kAckFlag, kRecord);
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  wait_out();
  EXPECT_TRUE(got_.empty());
  EXPECT_EQ(left_out(ownership::Rule::kMeshCovered), 4U);
  EXPECT_EQ(left_out(ownership::Rule::kLoopback), 2U);
}

TEST_F(LegPathTest, WhatIsNoLegAndGoesOnIsLeftToTheKernel) {
  start_istio(false);
  const std::size_t before = loopback_.filter.size();
  for (int i = 0; i < 100; ++i) {
    loopback_.waiting.push_back(segment("127.0.0.1", 41'000, "127.0.0.1", 5432, kAckFlag, "sql"));
    path_->read(kPacketsPerRead, now_);
  }
  owners_->open("127.0.0.1", 41'000, "127.0.0.1", 5432, mesh::kAppUser);
  path_->look();
  EXPECT_GT(loopback_.filter.size(), before);
  owners_->sockets.clear();
  path_->look();
  EXPECT_EQ(loopback_.filter.size(), before);
}

TEST(LegsInALoop, TravelInTheCapturesOfTheInterface) {
  const auto tcp = [](std::string_view from, std::uint16_t port, std::uint8_t flags) {
    return test::packet().from(from).to("10.0.0.1").tcp(port, 8080, flags).ethernet();
  };
  FakeLoopback loopback;
  loopback.waiting = {tcp("127.0.0.6", 40'000, kSynFlag), tcp("127.0.0.6", 40'000, kAckFlag)};
  FakeLoopback interface;
  interface.waiting = {tcp("8.8.8.8", 50'000, kSynFlag)};
  auto owners = std::make_unique<mesh::FakeOwners>();
  owners->listening = mesh::listeners_of({15001, 15006}, 5678);
  CaptureLoopConfig config;
  config.interface = "eth0";
  config.engine.self.addresses = {ip("10.0.0.1")};
  config.reply = [](const CommandQueue::Task& task) { task(); };
  config.legs = std::make_shared<LegPath>(
      LegPathConfig(), LegDevices{std::make_unique<LoopbackDevice>(loopback), nullptr},
      std::move(owners));
  CaptureLoop loop(std::move(config), std::make_unique<LoopbackDevice>(interface),
                   std::make_unique<ownership::NoListeningSockets>());
  std::vector<Bytes> got;
  loop.start_output(std::make_unique<Recorder>(got), "sensor", 0, {});
  loop.run();
  const auto deadline = LegPath::Clock::now() + std::chrono::seconds(10);
  while (loop.ledger().read.value() < 3 && LegPath::Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  loop.finish();
  EXPECT_EQ(got.size(), 3U);
  LoopCounts counts;
  loop.counts([&counts](const LoopCounts& told) { counts = told; });
  EXPECT_EQ(counts.source.accepted, 3U) << "of both interfaces";
  EXPECT_EQ(counts.loopback, 2U);
  EXPECT_EQ(counts.mesh, mesh::Kind::kEnvoy);
}

}  // namespace
}  // namespace sidetap
