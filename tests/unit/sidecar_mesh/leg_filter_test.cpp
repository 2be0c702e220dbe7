#include "sidecar/mesh/leg_filter.h"

#include <gtest/gtest.h>

#include "tests/unit/sidecar_mesh/mesh_fixture.h"
#include "tests/unit/sidecar_packet/bpf_machine.h"

namespace sidetap::mesh {
namespace {

using test::Bytes;
using test::kPacketHost;
using test::kPacketOutgoing;
using test::packet;

LegFilterConfig filter_config() { return {.self = {ip(kPod), ip(kPod6)}, .ignored = {}}; }

bool lets_pass(const Bytes& frame, unsigned type = kPacketHost, const Mesh& mesh = istio(),
               const LegFilterConfig& config = filter_config()) {
  return test::run_bpf(build_leg_filter(mesh, config), frame, type) != 0;
}

Bytes tcp(std::string_view from, std::uint16_t from_port, std::string_view to,
          std::uint16_t to_port, std::uint8_t flags = capture::kTcpAck) {
  return packet().from(from).to(to).tcp(from_port, to_port, flags).ethernet();
}

TEST(LegFilter, LetsOneCopyOfEachPacketPass) {
  EXPECT_TRUE(lets_pass(tcp("127.0.0.6", 40'000, kPod, 8080)));
  EXPECT_FALSE(lets_pass(tcp("127.0.0.6", 40'000, kPod, 8080), kPacketOutgoing));
}

TEST(LegFilter, LetsBothDirectionsOfBothFamiliesPass) {
  EXPECT_TRUE(lets_pass(tcp(kPod, 8080, "127.0.0.6", 40'000)));
  EXPECT_TRUE(lets_pass(tcp("::6", 40'000, kPod6, 8080)));
  EXPECT_TRUE(lets_pass(tcp(kPod6, 8080, "::6", 40'000)));
  EXPECT_TRUE(lets_pass(tcp("127.0.0.1", 40'000, "127.0.0.1", 8080)));
  EXPECT_TRUE(lets_pass(tcp("::1", 40'000, "::1", 8080)));
  EXPECT_TRUE(lets_pass(tcp("10.0.9.9", 40'000, kPod, 8080)));
  EXPECT_TRUE(
      lets_pass(packet().from("127.0.0.6").to(kPod).tcp(40'000, 8080).ip_options(3).ethernet()));
}

TEST(LegFilter, RefusesEverythingElse) {
  for (const std::uint16_t port :
       std::initializer_list<std::uint16_t>{15000, 15001, 15006, 15020, 9999})
    EXPECT_FALSE(lets_pass(tcp("127.0.0.1", 40'000, "127.0.0.1", port))) << port;
  EXPECT_FALSE(lets_pass(packet().from("127.0.0.1").to("127.0.0.1").udp(40'000, 8080).ethernet()));
  EXPECT_FALSE(lets_pass(packet().from("127.0.0.1").to(kPod).echo(true).ethernet()));
  EXPECT_FALSE(lets_pass(tcp(kPod, 40'000, "10.0.9.9", 8080))) << "to somebody else";
  EXPECT_FALSE(lets_pass(
      packet().from("127.0.0.6").to(kPod).tcp(40'000, 8080).fragment(7, 0, true).ethernet()));
  EXPECT_FALSE(lets_pass(test::arp(test::kBroadcastMac, test::mac(1), ip(kPod), ip("10.0.0.2"))));
  EXPECT_FALSE(lets_pass(Bytes(10)));
}

TEST(LegFilter, WithoutAMeshRefusesAll) {
  EXPECT_FALSE(lets_pass(tcp("127.0.0.6", 40'000, kPod, 8080), kPacketHost, Mesh()));
}

TEST(LegFilter, LeavesKnownOthersToTheKernel) {
  LegFilterConfig config = filter_config();
  config.ignored = {{ip("127.0.0.1"), ip("127.0.0.1"), 40'000, 5432}};
  const auto passes = [&](const Bytes& frame) {
    return lets_pass(frame, kPacketHost, istio(), config);
  };
  EXPECT_FALSE(passes(tcp("127.0.0.1", 40'000, "127.0.0.1", 5432)));
  EXPECT_FALSE(passes(tcp("127.0.0.1", 5432, "127.0.0.1", 40'000)));
  EXPECT_TRUE(passes(tcp("127.0.0.1", 40'000, "127.0.0.1", 5432, capture::kTcpSyn)))
      << "a new connection between the same ends";
  EXPECT_TRUE(passes(tcp("127.0.0.1", 40'001, "127.0.0.1", 5432)));
}

TEST(LegFilter, FitsTheKernelHoweverMuchThereIs) {
  std::vector<Listener> listeners = listeners_of({15001, 15006, 15021});
  for (std::uint16_t port = 1; port <= 120; ++port) listeners.push_back({ip("0.0.0.0"), port, 5});
  LegFilterConfig config = filter_config();
  for (std::uint16_t port = 1; port <= 100; ++port)
    config.ignored.push_back({ip("::1"), ip("::1"), port, 5432});
  EXPECT_LE(build_leg_filter(find_mesh({}, listeners), config).size(),
            capture::kMaxBpfInstructions - capture::kSourceBpfInstructions);
  for (std::uint16_t port = 121; port <= 3000; ++port)
    listeners.push_back({ip("0.0.0.0"), port, 5});
  const Mesh many = find_mesh({}, listeners);
  EXPECT_TRUE(lets_pass(tcp("127.0.0.6", 40'000, kPod, 2999), kPacketHost, many, config));
}

}  // namespace
}  // namespace sidetap::mesh
