// A veth pair in a network namespace of the test's own, frames to send over it, and what came of
// them.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "sidecar/capture/link_facts.h"
#include "sidecar/capture/ring_source.h"
#include "sidecar/capture/spare_sockets.h"

namespace sidetap::capture::ring_test {

using Bytes = std::vector<std::byte>;

struct Kept {
  Bytes bytes;
  std::uint32_t length = 0;
  Offload offload;
  Direction direction;
};

class Keeper final : public PacketHandler {
 public:
  void on_packet(const CapturedPacket& packet) override {
    packets.push_back({{packet.bytes.begin(), packet.bytes.end()},
                       packet.length,
                       packet.offload,
                       packet.direction});
  }
  std::vector<Kept> packets;
};

inline bool run(const std::string& command) { return std::system(command.c_str()) == 0; }

/// An Ethernet frame of IPv4 or IPv6 with a payload that tells `number`.
inline Bytes frame(unsigned ether_type, std::uint8_t protocol, std::uint32_t number,
                   std::size_t payload) {
  const std::size_t header = ether_type == ETH_P_IPV6 ? 40 : 20;
  Bytes bytes(14 + header + payload);
  bytes[0] = std::byte{2};
  bytes[6] = std::byte{2};
  bytes[11] = std::byte{1};
  bytes[12] = static_cast<std::byte>(ether_type >> 8);
  bytes[13] = static_cast<std::byte>(ether_type);
  bytes[14] = ether_type == ETH_P_IPV6 ? std::byte{0x60} : std::byte{0x45};
  bytes[14 + (ether_type == ETH_P_IPV6 ? 6U : 9U)] = std::byte{protocol};
  std::memcpy(bytes.data() + 14 + header, &number, sizeof number);
  return bytes;
}

class RingSource : public testing::Test {
 protected:
  void SetUp() override {
    // The test runs in a process of its own under ctest, so its namespace may change.
    if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "no right to make a network namespace";
    ASSERT_NO_FATAL_FAILURE(make_link());
    sender_ = net::UniqueFd(socket(AF_PACKET, SOCK_RAW, 0));
  }

  void make_link() {
    ASSERT_TRUE(
        run("ip link add pod0 type veth peer name far0 && "
            "sysctl -qw net.ipv6.conf.pod0.disable_ipv6=1 "
            "net.ipv6.conf.far0.disable_ipv6=1 && "
            "ip link set pod0 up && ip link set far0 up"));
    address_.sll_family = AF_PACKET;
    address_.sll_protocol = htons(ETH_P_IP);
    address_.sll_ifindex = static_cast<int>(if_nametoindex("far0"));
  }

  static std::unique_ptr<PacketSource> open(std::size_t buffer = 2U << 20,
                                            std::span<const BpfInstruction> filter = {}) {
    DeviceConfig config;
    config.interface = "pod0";
    config.buffer_bytes = buffer;
    config.filter = filter;
    const auto facts = read_link_facts("pod0");
    EXPECT_TRUE(facts);
    auto source = open_ring(config, *facts, std::make_shared<SpareSockets>());
    EXPECT_TRUE(source) << (source ? "" : source.error().text);
    return source ? std::move(*source) : nullptr;
  }

  /// Sends towards pod0.
  void inject(const Bytes& bytes) {
    ASSERT_EQ(sendto(sender_.get(), bytes.data(), bytes.size(), 0,
                     reinterpret_cast<const sockaddr*>(&address_), sizeof address_),
              static_cast<ssize_t>(bytes.size()))
        << std::strerror(errno);
  }

  /// Reads until there are `count`, or nothing came for half a second.
  static void collect(PacketSource& source, Keeper& into, std::size_t count,
                      std::size_t most = 256) {
    while (into.packets.size() < count) {
      const auto got = source.read(into, most);
      ASSERT_TRUE(got) << got.error().text;
      if (*got != 0) continue;
      pollfd ready{source.descriptor(), POLLIN, 0};
      if (poll(&ready, 1, 500) == 0) return;
    }
  }

  net::UniqueFd sender_;
  sockaddr_ll address_{};
};

}  // namespace sidetap::capture::ring_test
