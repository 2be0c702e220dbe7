// The loopback interface beside the pod's own, with what a test puts on both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/path/leg_path.h"
#include "tests/unit/sidecar_mesh/mesh_fixture.h"
#include "tests/unit/sidecar_path/pipeline_fixture.h"

namespace sidetap {

/// The loopback interface, with what a test puts there.
struct FakeLoopback {
  std::vector<test::Bytes> waiting;
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
    for (test::Bytes& bytes : loopback_.waiting) {
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

inline constexpr std::uint8_t kSynFlag = capture::kTcpSyn;
inline constexpr std::uint8_t kAckFlag = capture::kTcpAck;

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

  static test::Bytes segment(std::string_view from, std::uint16_t from_port, std::string_view to,
                             std::uint16_t to_port, std::uint8_t flags,
                             std::string_view text = {}) {
    test::Bytes bytes = test::packet().from(from).to(to).tcp(from_port, to_port, flags).ethernet();
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
    const test::Bytes bytes = to_server ? segment("8.8.8.8", 50'000, "10.0.0.1", port, flags, text)
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

  std::vector<test::Bytes> got_;
  Pipeline pipeline_ = make({});
  FakeLoopback loopback_;
  FakeLoopback openings_;
  mesh::FakeOwners* owners_ = nullptr;
  std::unique_ptr<LegPath> path_;
  LegPath::Clock::time_point now_ = LegPath::Clock::now();
};

}  // namespace sidetap
