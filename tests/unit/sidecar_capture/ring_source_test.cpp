// The ring against the kernel: a veth pair in network namespaces of the test's own.
#include "sidecar/capture/ring_source.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"
#include "sidecar/capture/device.h"
#include "sidecar/capture/growing_ring.h"
#include "sidecar/capture/interface_sight.h"
#include "sidecar/capture/pcap_source.h"
#include "sidecar/fidelity/restorer.h"

namespace sidetap::capture {
namespace {

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

bool run(const std::string& command) { return std::system(command.c_str()) == 0; }

std::uint16_t half(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                    std::to_integer<unsigned>(bytes[at + 1]));
}

/// An Ethernet frame of IPv4 or IPv6 with a payload that tells `number`.
Bytes frame(unsigned ether_type, std::uint8_t protocol, std::uint32_t number, std::size_t payload) {
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
                                            std::span<const BpfInstruction> filter = {},
                                            std::size_t most_buffer = 0) {
    DeviceConfig config;
    config.interface = "pod0";
    config.buffer_bytes = buffer;
    config.most_buffer_bytes = most_buffer;
    config.filter = filter;
    const auto facts = read_link_facts("pod0");
    EXPECT_TRUE(facts);
    auto source = open_ring(config, *facts, std::make_shared<SpareSockets>());
    EXPECT_TRUE(source) << (source ? "" : source.error().text);
    return source ? std::move(*source) : nullptr;
  }

  static Result<std::unique_ptr<GrowingRing>> open_growing(const RingConfig& small,
                                                           const GrowthConfig& growth) {
    SpareSockets sockets;
    net::UniqueFd first = sockets.take().value();
    net::UniqueFd second = sockets.take().value();
    return GrowingRing::open(small, growth, first, second);
  }

  /// The kernel tells the other end by a work queue.
  static void wait_for_carrier() {
    const InterfaceSight sight;
    for (int i = 0; i < 1000 && !sight.look("far0", 0).carrier; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
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

TEST_F(RingSource, PacketsComeWholeAndInOrderHoweverFewAreTakenAtATime) {
  auto source = open();
  ASSERT_TRUE(source);
  std::vector<Bytes> sent;
  for (std::uint32_t i = 0; i < 600; ++i)
    sent.push_back(frame(ETH_P_IP, IPPROTO_UDP, i, 18 + i * 37 % 1400));
  for (const Bytes& bytes : sent) inject(bytes);
  Keeper keeper;
  collect(*source, keeper, sent.size(), 7);
  ASSERT_EQ(keeper.packets.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(keeper.packets[i].bytes, sent[i]) << i;
    EXPECT_EQ(keeper.packets[i].length, sent[i].size());
  }
  EXPECT_EQ(source->counts().accepted, sent.size());
  EXPECT_EQ(source->counts().dropped, 0U);
}

TEST_F(RingSource, WhatTheRingHasNoRoomForIsCounted) {
  auto source = open(512U << 10);
  ASSERT_TRUE(source);
  constexpr std::uint32_t kSent = 2000;
  for (std::uint32_t i = 0; i < kSent; ++i) inject(frame(ETH_P_IP, IPPROTO_UDP, i, 1400));
  Keeper keeper;
  collect(*source, keeper, kSent);
  const SourceCounts counts = source->counts();
  EXPECT_EQ(counts.accepted, kSent);
  EXPECT_GT(counts.dropped, 0U);
  EXPECT_EQ(keeper.packets.size() + counts.dropped, kSent);
}

TEST_F(RingSource, WithoutMoreMemoryForLoadThereIsNoLargeRing) {
  sender_.reset();
  const auto rings = [] {
    std::ifstream sockets("/proc/thread-self/net/packet");
    const std::istreambuf_iterator<char> begin(sockets);
    return std::count(begin, std::istreambuf_iterator<char>(), '\n') - 1;  // without the headline
  };
  for (const std::size_t most : {1U << 20, 2U << 20}) {
    const auto source = open(2U << 20, {}, most);
    EXPECT_EQ(rings(), 2) << "one of them for SCTP";
  }
  const auto source = open(2U << 20, {}, 4U << 20);
  EXPECT_EQ(rings(), 3);
}

TEST_F(RingSource, ARingThatGrowsAndShrinksLosesDoublesAndReordersNothing) {
  constexpr BpfInstruction kEverything{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 262'144};
  RingConfig small;
  small.interface_index = static_cast<int>(if_nametoindex("pod0"));
  small.blocks = 16;
  small.filter = {&kEverything, 1};
  auto opened = open_growing(small, {.blocks = 32, .quiet = std::chrono::milliseconds(100)});
  ASSERT_TRUE(opened) << opened.error().text;
  GrowingRing& ring = **opened;
  std::vector<Bytes> sent;
  Keeper keeper;
  const auto send = [&](std::size_t count) {
    for (; count != 0; --count) {
      sent.push_back(frame(ETH_P_IP, IPPROTO_UDP, static_cast<std::uint32_t>(sent.size()), 1400));
      inject(sent.back());
    }
  };
  // Reads, with a packet now and then, until the ring has the size.
  const auto become = [&](bool large) {
    for (int i = 0; i < 2000 && (ring.is_large() != large || ring.is_changing()); ++i) {
      send(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ring.read(keeper, 256);
    }
    ASSERT_EQ(ring.is_large(), large);
  };
  for (int round = 0; round < 2; ++round) {
    // Far enough from one another that the kernel gives each a block of its own.
    for (int i = 0; i < 10; ++i) {
      send(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(12));
    }
    become(true);
    // The small ring has room for about 1400. A block also ends with its time: where sending takes
    // long, the large ring would fill with nearly empty blocks.
    auto read_at = std::chrono::steady_clock::now();
    for (int i = 0; i < 4000; ++i) {
      send(1);
      if (std::chrono::steady_clock::now() - read_at < std::chrono::milliseconds(100)) continue;
      ring.read(keeper, 4096);
      read_at = std::chrono::steady_clock::now();
    }
    become(false);
  }
  for (int i = 0; i < 200 && keeper.packets.size() < sent.size(); ++i) {
    ring.read(keeper, 256);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(keeper.packets.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) ASSERT_EQ(keeper.packets[i].bytes, sent[i]) << i;
  SourceCounts counts;
  ring.add_counts(counts);
  EXPECT_EQ(counts.accepted, sent.size());
  EXPECT_EQ(counts.dropped, 0U);
}

TEST_F(RingSource, ARingGrowsWhenItsBlocksFillBeforeTheirTime) {
  constexpr BpfInstruction kEverything{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 262'144};
  RingConfig small;
  small.interface_index = static_cast<int>(if_nametoindex("pod0"));
  small.filter = {&kEverything, 1};
  small.blocks = 12;
  small.block_timeout_ms = 100;
  auto opened = open_growing(small, {.blocks = 8, .quiet = std::chrono::milliseconds(300)});
  ASSERT_TRUE(opened) << opened.error().text;
  GrowingRing& ring = **opened;
  Keeper keeper;
  std::uint32_t sent = 0;
  // A block at a time, which is read at once: never does much of the ring wait.
  const auto send_and_read = [&] {
    for (int i = 0; i < 90; ++i) inject(frame(ETH_P_IP, IPPROTO_UDP, sent++, 1400));
    ring.read(keeper, 1000);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
  for (int i = 0; i < 300 && !ring.is_large(); ++i) send_and_read();
  EXPECT_TRUE(ring.is_large());
  // A packet now and then, each in a block of its own that waits for a moment, is no load.
  for (int i = 0; i < 40 && ring.is_large(); ++i) {
    inject(frame(ETH_P_IP, IPPROTO_UDP, sent++, 1400));
    std::this_thread::sleep_for(std::chrono::milliseconds(3 * small.block_timeout_ms));
    while (ring.read(keeper, 1000) != 0) {
    }
  }
  EXPECT_FALSE(ring.is_large());
  std::this_thread::sleep_for(std::chrono::milliseconds(3 * small.block_timeout_ms));
  for (int i = 0; i < 10; ++i) ring.read(keeper, 1000);
  ASSERT_EQ(keeper.packets.size(), sent);
}

/// Blocks so small that frames of 8000 bytes stand for what BIG TCP makes of others.
class LongPackets : public RingSource {
 protected:
  static constexpr std::size_t kLong = 8000;
  void SetUp() override {
    RingSource::SetUp();
    if (IsSkipped()) return;
    ASSERT_TRUE(run("ip link set pod0 mtu 9000 && ip link set far0 mtu 9000"));
  }
  static RingConfig small_blocks() {
    static constexpr BpfInstruction kEverything{
        .code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 262'144};
    RingConfig small;
    small.interface_index = static_cast<int>(if_nametoindex("pod0"));
    small.block_bytes = 4096;
    small.blocks = 16;
    small.filter = {&kEverything, 1};
    return small;
  }
  static constexpr GrowthConfig kGrowth{
      .block_bytes = 4096, .blocks = 64, .quiet = std::chrono::milliseconds(100)};

  void send_and_read(GrowingRing& ring, std::uint32_t count) {
    for (; count != 0; --count) {
      inject(frame(ETH_P_IP, IPPROTO_UDP, sent_++, kLong));
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
      ring.read(keeper_, 256);
    }
    for (int i = 0; i < 400 && keeper_.packets.size() < sent_; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ring.read(keeper_, 256);
    }
    ASSERT_EQ(keeper_.packets.size(), sent_);
  }
  std::size_t whole(std::size_t from) const {
    return static_cast<std::size_t>(std::count_if(
        keeper_.packets.begin() + static_cast<std::ptrdiff_t>(from), keeper_.packets.end(),
        [](const Kept& kept) { return kept.bytes.size() == kept.length; }));
  }

  Keeper keeper_;
  std::uint32_t sent_ = 0;
};

TEST_F(LongPackets, WhatIsExpectedIsWholeFromTheFirstOneOn) {
  auto opened = open_growing(small_blocks(), kGrowth);
  ASSERT_TRUE(opened) << opened.error().text;
  GrowingRing& ring = **opened;
  ring.expect(kLong + 34);
  for (int i = 0; i < 1000 && !ring.is_large(); ++i) {
    ring.read(keeper_, 256);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(ring.is_large());
  EXPECT_EQ(ring.outgrown_by(), 0U);
  ASSERT_NO_FATAL_FAILURE(send_and_read(ring, 200));
  EXPECT_EQ(whole(0), sent_) << "it has to stay large, however little comes";
}

TEST_F(LongPackets, TheFirstThatIsCutMakesRoomForTheOthers) {
  auto opened = open_growing(small_blocks(), kGrowth);
  ASSERT_TRUE(opened) << opened.error().text;
  ASSERT_NO_FATAL_FAILURE(send_and_read(**opened, 100));
  EXPECT_LT(whole(0), sent_) << "without one that is cut nothing is shown";
  ASSERT_TRUE((*opened)->is_large());
  const std::size_t before = keeper_.packets.size();
  ASSERT_NO_FATAL_FAILURE(send_and_read(**opened, 100));
  EXPECT_EQ(whole(before), 100U);
}

TEST_F(LongPackets, ARingThatCannotGrowSaysThatItIsToBeOpenedAnew) {
  SpareSockets sockets;
  net::UniqueFd only = sockets.take().value();
  net::UniqueFd none;
  auto opened = GrowingRing::open(small_blocks(), kGrowth, only, none);
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ((*opened)->outgrown_by(), 0U);
  ASSERT_NO_FATAL_FAILURE(send_and_read(**opened, 10));
  EXPECT_EQ((*opened)->outgrown_by(), kLong + 34);
}

/// Runs `body` on a thread that has no capability at all.
void without_rights(const std::function<void()>& body) {
  std::thread([&] {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct none[2]{};
    ASSERT_EQ(syscall(SYS_capset, &header, none), 0) << std::strerror(errno);
    body();
  }).join();
}

TEST_F(RingSource, AnInterfaceIsOpenedAgainWithoutAnyRight) {
  for (const CaptureMethod method : {CaptureMethod::kRing, CaptureMethod::kLibpcap}) {
    const auto device = make_system_device();
    DeviceConfig config;
    config.interface = "pod0";
    config.method = method;
    config.most_buffer_bytes = 8U << 20;
    auto source = device->open(config);
    ASSERT_TRUE(source) << source.error().text;
    // Also when the sockets that it has kept are used up, but for those that can be used again.
    for (std::uint32_t time = 0; time < 12; ++time) {
      ASSERT_TRUE(run("ip link del pod0"));
      EXPECT_EQ((*source)->bound_index(), -1);
      source->reset();
      ASSERT_NO_FATAL_FAILURE(make_link());
      // The ring also while it is down, which libpcap refuses the first time only.
      if (time % 2 == 0) {
        ASSERT_TRUE(run("ip link set pod0 down"));
      }
      without_rights([&] { source = device->open(config); });
      ASSERT_TRUE(source) << time << ": " << source.error().text;
      ASSERT_TRUE(run("ip link set pod0 up"));
      wait_for_carrier();
      EXPECT_EQ((*source)->bound_index(), static_cast<int>(if_nametoindex("pod0")));
      Keeper keeper;
      // SCTP has a ring of its own.
      inject(frame(ETH_P_IP, IPPROTO_UDP, time, 30));
      inject(frame(ETH_P_IP, IPPROTO_SCTP, time, 30));
      ASSERT_NO_FATAL_FAILURE(collect(**source, keeper, 2));
      EXPECT_EQ(keeper.packets.size(), 2U) << time;
      EXPECT_EQ((*source)->counts().accepted, 2U) << "what came before is not counted again";
    }
  }
}

TEST_F(RingSource, WhatAnEarlierSourceWasBoundToIsNotCapturedAnyMore) {
  for (const CaptureMethod method : {CaptureMethod::kRing, CaptureMethod::kLibpcap}) {
    const auto device = make_system_device();
    DeviceConfig config;
    config.interface = "pod0";
    config.method = method;
    auto source = device->open(config);
    ASSERT_TRUE(source) << source.error().text;
    ASSERT_TRUE(run("ip link set pod0 down && ip link set pod0 name old0 && ip link set old0 up"));
    source->reset();
    ASSERT_TRUE(run("ip link add pod0 type veth peer name far1 && ip link set pod0 up"));
    without_rights([&] { source = device->open(config); });
    ASSERT_TRUE(source) << source.error().text;
    for (std::uint32_t i = 0; i < 20; ++i) inject(frame(ETH_P_IP, IPPROTO_UDP, i, 30));
    Keeper keeper;
    ASSERT_NO_FATAL_FAILURE(collect(**source, keeper, 1));
    EXPECT_TRUE(keeper.packets.empty());
    ASSERT_TRUE(run("ip link del pod0 && ip link del old0"));
    ASSERT_NO_FATAL_FAILURE(make_link());
  }
}

TEST_F(RingSource, SctpComesOnceAndWakesTheReader) {
  auto source = open();
  ASSERT_TRUE(source);
  for (const unsigned type : {ETH_P_IP, ETH_P_IPV6}) {
    const Bytes sent = frame(type, IPPROTO_SCTP, 7, 100);
    inject(sent);
    Keeper keeper;
    collect(*source, keeper, 2);
    ASSERT_EQ(keeper.packets.size(), 1U);
    EXPECT_EQ(keeper.packets[0].bytes, sent);
    EXPECT_FALSE(keeper.packets[0].offload.known);
  }
}

TEST_F(RingSource, AReaderThatWaitsForACpuLosesNothingOfASlowStream) {
  auto source = open();
  ASSERT_TRUE(source);
  // Far enough from one another that the kernel gives each a block of its own.
  constexpr std::size_t kSent = 3;
  for (const std::uint8_t protocol : {IPPROTO_UDP, IPPROTO_SCTP}) {
    for (unsigned number = 0; number < kSent; ++number) {
      inject(frame(ETH_P_IP, protocol, static_cast<std::uint8_t>(number), 100));
      std::this_thread::sleep_for(std::chrono::milliseconds(40));
    }
    Keeper keeper;
    collect(*source, keeper, kSent);
    EXPECT_EQ(keeper.packets.size(), kSent);
    EXPECT_EQ(source->counts().dropped, 0U);
  }
}

TEST_F(RingSource, AFilterHoldsForEveryProtocolAndCanBeReplaced) {
  constexpr BpfInstruction kNothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
  auto source = open(2U << 20, {&kNothing, 1});
  ASSERT_TRUE(source);
  const auto send_all = [&] {
    inject(frame(ETH_P_IP, IPPROTO_UDP, 1, 30));
    inject(frame(ETH_P_IP, IPPROTO_SCTP, 2, 30));
    inject(frame(ETH_P_IPV6, IPPROTO_TCP, 3, 30));
    inject(frame(ETH_P_IPV6, IPPROTO_SCTP, 4, 30));
    inject(frame(ETH_P_ARP, 0, 5, 30));
  };
  send_all();
  Keeper keeper;
  collect(*source, keeper, 1);
  EXPECT_TRUE(keeper.packets.empty());
  EXPECT_EQ(source->counts().accepted, 0U);

  // As long as a program for a source may be; the last instruction is what runs.
  std::vector<BpfInstruction> longest(kMaxBpfInstructions - kSourceBpfInstructions,
                                      {.code = BPF_LD | BPF_IMM, .jt = 0, .jf = 0, .k = 0});
  longest.back() = {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 40};
  ASSERT_TRUE(source->set_filter(longest));
  send_all();
  collect(*source, keeper, 5);
  ASSERT_EQ(keeper.packets.size(), 5U);
  for (const Kept& packet : keeper.packets) {
    EXPECT_EQ(packet.bytes.size(), 40U);  // as many bytes as the program says
    EXPECT_GT(packet.length, 40U);
  }
}

TEST_F(RingSource, TellsWhichWayAPacketWent) {
  auto source = open();
  ASSERT_TRUE(source);
  // For nobody in particular, for another host, and out of the interface itself.
  Bytes sent = frame(ETH_P_IP, IPPROTO_UDP, 1, 30);
  sent[0] = std::byte{1};
  inject(sent);
  sent[0] = std::byte{2};
  inject(sent);
  address_.sll_ifindex = static_cast<int>(if_nametoindex("pod0"));
  inject(sent);
  Keeper keeper;
  collect(*source, keeper, 3);
  ASSERT_EQ(keeper.packets.size(), 3U);
  EXPECT_EQ(keeper.packets[0].direction, Direction::kInbound);
  EXPECT_EQ(keeper.packets[1].direction, Direction::kInbound);
  EXPECT_EQ(keeper.packets[2].direction, Direction::kOutbound);
}

TEST_F(RingSource, AVlanTagStandsWhereItWasOnTheWire) {
  auto source = open();
  ASSERT_TRUE(source);
  Bytes sent = frame(ETH_P_IP, IPPROTO_UDP, 9, 60);
  const Bytes tag = {std::byte{0x81}, std::byte{0}, std::byte{0x60}, std::byte{42}};
  sent.insert(sent.begin() + 12, tag.begin(), tag.end());
  address_.sll_protocol = htons(ETH_P_8021Q);
  inject(sent);
  Keeper keeper;
  collect(*source, keeper, 1);
  ASSERT_EQ(keeper.packets.size(), 1U);
  EXPECT_EQ(keeper.packets[0].bytes, sent);
  EXPECT_EQ(keeper.packets[0].length, sent.size());
}

TEST_F(RingSource, AnInterfaceMayGoDownAndComeBackButNotVanish) {
  auto source = open();
  ASSERT_TRUE(source);
  Keeper keeper;
  ASSERT_TRUE(run("ip link set pod0 down"));
  EXPECT_TRUE(source->read(keeper, 10));
  pollfd ready{source->descriptor(), POLLIN, 0};
  EXPECT_EQ(poll(&ready, 1, 50), 0) << "a reader would never sleep again";
  ASSERT_TRUE(run("ip link set pod0 up"));
  // The link carries a moment later: the kernel tells its other end by a work queue.
  for (int i = 0; i < 20 && keeper.packets.empty(); ++i) {
    inject(frame(ETH_P_IP, IPPROTO_UDP, 1, 30));
    collect(*source, keeper, 1);
  }
  EXPECT_FALSE(keeper.packets.empty());

  ASSERT_TRUE(run("ip link del pod0"));
  EXPECT_THAT(source->read(keeper, 10).error().text, testing::HasSubstr("the interface has gone"));
}

TEST_F(RingSource, OnlyEthernetIsRead) {
  EXPECT_FALSE(ring_is_right_for({.index = 1, .hardware_type = 772}));  // ARPHRD_LOOPBACK
  ASSERT_TRUE(run("ip link set lo up"));
  DeviceConfig config;
  config.interface = "lo";
  const auto device = make_system_device();
  EXPECT_TRUE(device->open(config));
  config.method = CaptureMethod::kRing;
  const auto source = device->open(config);
  ASSERT_FALSE(source);
  EXPECT_THAT(source.error().text, testing::HasSubstr("it is not Ethernet"));
}

/// What the restorer makes of the packets.
std::vector<Bytes> on_the_wire(const std::vector<Kept>& packets) {
  fidelity::Restorer restorer({});
  std::vector<Bytes> all;
  for (const Kept& kept : packets) {
    CapturedPacket packet;
    packet.bytes = kept.bytes;
    packet.length = kept.length;
    packet.offload = kept.offload;
    const auto segments = restorer.begin(parse_packet(LinkType::kEthernet, packet.bytes), packet);
    for (std::uint32_t i = 0; i < segments; ++i) {
      const auto wire = restorer.next();
      all.emplace_back(wire.head.begin(), wire.head.end())
          .insert(all.back().end(), wire.body.begin(), wire.body.end());
    }
  }
  return all;
}

TEST_F(RingSource, UdpDatagramsThatAwaitSegmentationComeApart) {
  ASSERT_TRUE(
      run("ip addr add 10.55.0.1/24 dev pod0 && "
          "ip neigh add 10.55.0.2 lladdr 02:00:00:00:00:02 dev pod0"));
  auto source = open();
  ASSERT_TRUE(source);
  const net::UniqueFd udp(socket(AF_INET, SOCK_DGRAM, 0));
  const int size = 1000;
  if (setsockopt(udp.get(), SOL_UDP, UDP_SEGMENT, &size, sizeof size) != 0)
    GTEST_SKIP() << "no UDP GSO here";
  sockaddr_in far{};
  far.sin_family = AF_INET;
  far.sin_port = htons(4242);
  inet_pton(AF_INET, "10.55.0.2", &far.sin_addr);
  Bytes payload(4500);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::byte>(i * 7 / 3);
  ASSERT_EQ(sendto(udp.get(), payload.data(), payload.size(), 0,
                   reinterpret_cast<const sockaddr*>(&far), sizeof far),
            static_cast<ssize_t>(payload.size()));
  Keeper keeper;
  collect(*source, keeper, 1);
  ASSERT_EQ(keeper.packets.size(), 1U);
  EXPECT_TRUE(keeper.packets[0].offload.known);
  EXPECT_TRUE(keeper.packets[0].offload.udp_segments);
  EXPECT_EQ(keeper.packets[0].offload.segment_size, 1000);

  const auto datagrams = on_the_wire(keeper.packets);
  EXPECT_EQ(datagrams.size(), 5U);
  Bytes joined;
  for (const Bytes& bytes : datagrams)
    joined.insert(joined.end(), bytes.begin() + 14 + 20 + 8, bytes.end());
  EXPECT_EQ(joined, payload);
}

TEST_F(RingSource, TcpComesApartBySegmentsOfTheConnectionNotOfTheMtu) {
  ASSERT_TRUE(run("ip addr add 10.55.0.1/24 dev pod0"));
  // The far end lives in another namespace; its route makes segments shorter than the MTU asks for.
  std::promise<pid_t> name;
  std::promise<void> moved;
  std::promise<void> ready;
  std::promise<void> finished;
  std::promise<void> seen;
  std::atomic<std::size_t> received{0};
  std::thread far([&] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    name.set_value(gettid());
    moved.get_future().wait();
    ASSERT_TRUE(
        run("ip addr add 10.55.0.2/24 dev far0 && ip link set far0 up && "
            "ip route change 10.55.0.0/24 dev far0 src 10.55.0.2 advmss 700"));
    const net::UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(8080);
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    ready.set_value();
    const net::UniqueFd peer(accept(listener.get(), nullptr, nullptr));
    char buffer[65'536];
    for (ssize_t got = 0; (got = ::read(peer.get(), buffer, sizeof buffer)) > 0;)
      received += static_cast<std::size_t>(got);
    finished.set_value();
    // With this thread its namespace goes, and with that both ends of the link.
    seen.get_future().wait();
  });
  ASSERT_TRUE(run("ip link set far0 netns " + std::to_string(name.get_future().get())));
  moved.set_value();
  ready.get_future().wait();

  auto source = open(8U << 20);
  ASSERT_TRUE(source);
  net::UniqueFd tcp(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(8080);
  inet_pton(AF_INET, "10.55.0.2", &server.sin_addr);
  ASSERT_EQ(connect(tcp.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server), 0);
  const Bytes payload(200'000, std::byte{0x5a});
  ASSERT_EQ(send(tcp.get(), payload.data(), payload.size(), 0),
            static_cast<ssize_t>(payload.size()));
  tcp.reset();
  finished.get_future().wait();
  Keeper keeper;
  collect(*source, keeper, 10'000);
  seen.set_value();
  far.join();
  ASSERT_EQ(received, payload.size());
  std::size_t large = 0;
  for (const Kept& kept : keeper.packets) large += kept.length > 1514 ? 1U : 0U;
  EXPECT_GT(large, 0U) << "nothing was left to the card: this shows nothing";
  std::size_t carried = 0;
  for (const Bytes& bytes : on_the_wire(keeper.packets)) {
    EXPECT_LE(bytes.size(), 14U + 20 + 20 + 700);
    if (half(bytes, 36) != 8080) continue;  // not to the server
    const std::size_t headers = 20 + (std::to_integer<std::size_t>(bytes[46]) >> 4) * 4;
    carried += half(bytes, 16) - headers;
  }
  EXPECT_EQ(carried, payload.size());
}

}  // namespace
}  // namespace sidetap::capture
