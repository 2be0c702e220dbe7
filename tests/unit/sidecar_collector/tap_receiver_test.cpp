// Datagrams and streams of several taps, on real sockets.
#include "sidecar/collector/tap_receiver.h"

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "sidecar/collector/datagram_port.h"
#include "tests/support/addresses.h"
#include "tests/unit/sidecar_collector/packed_packets.h"

namespace sidetap::collector {
namespace {

sockaddr_in loopback(const char* address, std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  inet_pton(AF_INET, address, &to.sin_addr);
  return to;
}

class TapReceiverTest : public testing::Test {
 protected:
  TapReceiverTest() {
    std::vector<net::UniqueFd> ports;
    for (std::uint16_t& number : ports_) {
      auto port = open_datagram_port({"", 0}, 4U << 20);
      EXPECT_TRUE(port);
      sockaddr_in6 bound{};
      socklen_t size = sizeof bound;
      getsockname(port->get(), reinterpret_cast<sockaddr*>(&bound), &size);
      number = ntohs(bound.sin6_port);
      ports.push_back(std::move(*port));
    }
    receiver_ = std::make_unique<TapReceiver>(
        ReceiverConfig{.most_packet = 65'536, .memory = 200'000}, std::move(ports));
  }

  /// A tap's socket, which sends from this address.
  net::UniqueFd tap_at(const char* address, std::size_t port = 0) const {
    net::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sockaddr_in from = loopback(address, 0);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from), 0);
    const sockaddr_in to = loopback("127.0.0.1", ports_[port]);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return fd;
  }
  static void send_all(const net::UniqueFd& fd, const std::vector<PacketBytes>& datagrams) {
    for (const PacketBytes& bytes : datagrams)
      EXPECT_EQ(send(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  static std::array<net::UniqueFd, 2> stream() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    return {net::UniqueFd(ends[0]), net::UniqueFd(ends[1])};
  }
  /// On loopback what is sent has arrived.
  void read_all() {
    while (receiver_->read(keeper_, 256) != 0) {
    }
  }

  std::array<std::uint16_t, 2> ports_{};
  std::unique_ptr<TapReceiver> receiver_;
  PacketKeeper keeper_;
};

TEST_F(TapReceiverTest, SharesItsPortsWithNoOtherCollector) {
  EXPECT_FALSE(open_datagram_port({"", ports_[0]}, 1U << 16));
}

TEST_F(TapReceiverTest, TellsTapsApartByTheirAddresses) {
  receiver_->expect(1, ip("127.0.0.2"));
  receiver_->expect(2, ip("127.0.0.3"));
  const auto second = tap_at("127.0.0.3");
  const auto first = tap_at("127.0.0.2");
  send_all(second, packed_datagrams(1, 10, 100));
  send_all(first, packed_datagrams(1, 20, 100));
  send_all(second, {packet_message(11, 50)});
  read_all();
  EXPECT_EQ(receiver_->received_from(1).counts.packets, 20U);
  EXPECT_EQ(receiver_->received_from(2).counts.packets, 11U);
  EXPECT_EQ(receiver_->delivered(), 31U);
  EXPECT_EQ(keeper_.packets.front().origin, 2U);
  EXPECT_EQ(keeper_.packets[10].origin, 1U);
}

TEST_F(TapReceiverTest, TellsTapsOfOneAddressApartByTheirPorts) {
  EXPECT_EQ(receiver_->expect(1, ip("127.0.0.2")), 0U);
  EXPECT_EQ(receiver_->expect(2, ip("127.0.0.2")), 1U);
  EXPECT_EQ(receiver_->expect(3, ip("127.0.0.3")), 0U) << "another address";
  send_all(tap_at("127.0.0.2", 1), packed_datagrams(1, 7, 100));
  send_all(tap_at("127.0.0.2", 0), packed_datagrams(1, 5, 100));
  read_all();
  EXPECT_EQ(receiver_->received_from(1).counts.packets, 5U);
  EXPECT_EQ(receiver_->received_from(2).counts.packets, 7U);
  EXPECT_EQ(receiver_->expect(4, ip("127.0.0.2")), 0U) << "nobody is awaited there any more";
}

TEST_F(TapReceiverTest, MoreTapsOfOneAddressThanPortsComeInTheirOrder) {
  for (std::uint32_t origin = 1; origin <= 3; ++origin) receiver_->expect(origin, ip("127.0.0.2"));
  const auto first = tap_at("127.0.0.2");
  send_all(first, packed_datagrams(1, 5, 100));
  read_all();
  send_all(tap_at("127.0.0.2"), packed_datagrams(1, 7, 100));
  read_all();
  EXPECT_EQ(receiver_->received_from(1).counts.packets, 5U);
  EXPECT_EQ(receiver_->received_from(2).counts.packets, 0U);
  EXPECT_EQ(receiver_->received_from(3).counts.packets, 7U);
}

TEST_F(TapReceiverTest, TakesNothingOfSendersThatAreNoTaps) {
  receiver_->expect(1, ip("127.0.0.2"));
  send_all(tap_at("127.0.0.9"), packed_datagrams(1, 5, 1'000));
  send_all(tap_at("127.0.0.2"), {PacketBytes(100, std::byte{0x17})});
  read_all();
  EXPECT_EQ(receiver_->delivered(), 0U);
  EXPECT_GE(receiver_->counts().strange_datagrams, 5U);
  send_all(tap_at("127.0.0.2"), packed_datagrams(1, 5, 100));
  read_all();
  EXPECT_EQ(receiver_->received_from(1).counts.packets, 5U)
      << "what is no datagram of a tap has not taken its place";
}

TEST_F(TapReceiverTest, LateDatagramsOfATapThatIsGoneCountForNoOther) {
  receiver_->expect(1, ip("127.0.0.2"));
  const auto former = tap_at("127.0.0.2");
  // One packet in each.
  const auto all = packed_datagrams(1, 9, 100, 128);
  ASSERT_EQ(all.size(), 9U);
  send_all(former, {all.begin(), all.begin() + 5});
  read_all();
  EXPECT_EQ(receiver_->remove(1).packets, 5U);
  receiver_->expect(2, ip("127.0.0.2"));
  send_all(former, {all.begin() + 5, all.end()});
  send_all(tap_at("127.0.0.2"), packed_datagrams(1, 3, 100));
  read_all();
  EXPECT_EQ(receiver_->received_from(2).counts.packets, 3U);
  EXPECT_EQ(receiver_->counts().packets, 8U) << "of both";
  EXPECT_EQ(receiver_->counts().taps, 1U);
}

TEST_F(TapReceiverTest, ATapThatGetsThePortOfOneThatIsGoneLosesNothing) {
  receiver_->expect(1, ip("127.0.0.2"));
  const auto same = tap_at("127.0.0.2");
  send_all(same, packed_datagrams(1, 5, 100));
  read_all();
  receiver_->remove(1);
  receiver_->expect(2, ip("127.0.0.2"));
  send_all(same, packed_datagrams(1, 3, 100));
  read_all();
  EXPECT_EQ(receiver_->received_from(2).counts.packets, 3U);
}

TEST_F(TapReceiverTest, APacketThatATapDoesNotCompleteBeforeItsEndIsCounted) {
  receiver_->expect(1, ip("127.0.0.2"));
  const auto pieces = packed_datagrams(1, 1, 3'000);
  send_all(tap_at("127.0.0.2"), {pieces.begin(), pieces.end() - 1});
  auto [ours, taps] = stream();
  receiver_->add_stream(2, std::move(ours), nullptr, [](const std::string&) {});
  const PacketBytes message = packet_message(1, 500);
  ASSERT_EQ(send(taps.get(), message.data(), 100, 0), 100);
  read_all();
  EXPECT_EQ(receiver_->remove(1).broken_packets, 1U);
  EXPECT_EQ(receiver_->remove(2).broken_packets, 1U);
  EXPECT_EQ(receiver_->counts().broken_packets, 2U);
}

TEST_F(TapReceiverTest, TakesStreams) {
  auto [ours, taps] = stream();
  std::string why;
  receiver_->add_stream(1, std::move(ours), nullptr, [&](std::string text) { why = text; });
  EXPECT_TRUE(receiver_->received_from(1).stream_open);
  for (std::uint32_t i = 1; i <= 50; ++i) {
    const PacketBytes message = packet_message(i, 500);
    ASSERT_EQ(send(taps.get(), message.data(), 100, 0), 100);
    read_all();
    ASSERT_EQ(send(taps.get(), message.data() + 100, message.size() - 100, 0),
              static_cast<ssize_t>(message.size() - 100));
  }
  read_all();
  EXPECT_EQ(receiver_->received_from(1).counts.packets, 50U);
  EXPECT_TRUE(why.empty());
  taps.reset();
  read_all();
  EXPECT_EQ(why, "the tap has ended the stream");
  EXPECT_FALSE(receiver_->received_from(1).stream_open);
  EXPECT_EQ(receiver_->remove(1).broken_packets, 0U);
}

TEST_F(TapReceiverTest, ManyStreamsDoNotKeepTheThreadLongerThanItAsks) {
  constexpr std::uint32_t kStreams = 200;
  std::vector<net::UniqueFd> taps;
  for (std::uint32_t i = 1; i <= kStreams; ++i) {
    auto [ours, theirs] = stream();
    receiver_->add_stream(i, std::move(ours), nullptr, [](const std::string&) {});
    const PacketBytes message = packet_message(1, 100);
    ASSERT_EQ(send(theirs.get(), message.data(), message.size(), 0),
              static_cast<ssize_t>(message.size()));
    taps.push_back(std::move(theirs));
  }
  const std::size_t got = receiver_->read(keeper_, 1);
  EXPECT_GT(got, 0U);
  EXPECT_LT(got, kStreams);
  read_all();
  EXPECT_EQ(receiver_->delivered(), kStreams);
}

TEST_F(TapReceiverTest, EndsAStreamOfSomethingElse) {
  auto [ours, taps] = stream();
  std::string why;
  receiver_->add_stream(1, std::move(ours), nullptr, [&](std::string text) { why = text; });
  const std::string_view request = "GET / HTTP/1.1\r\nHost: collector\r\n\r\n";
  ASSERT_EQ(send(taps.get(), request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  read_all();
  EXPECT_EQ(why, "the tap sends something other than packets");
}

TEST_F(TapReceiverTest, TapsThatSendHalfPacketsHoldABoundedMemory) {
  std::vector<net::UniqueFd> taps;
  unsigned ended = 0;
  const PacketBytes message = packet_message(1, 60'000);
  for (std::uint32_t i = 1; i <= 20; ++i) {
    auto [ours, theirs] = stream();
    receiver_->add_stream(i, std::move(ours), nullptr, [&](const std::string&) { ++ended; });
    ASSERT_EQ(send(theirs.get(), message.data(), 50'000, 0), 50'000);
    taps.push_back(std::move(theirs));
    read_all();
    EXPECT_LE(receiver_->counts().held, 200'000U);
  }
  EXPECT_EQ(ended, 16U) << "four times 50,000 bytes fit, less what each may hold anyway";
  for (std::uint32_t i = 1; i <= 20; ++i) receiver_->remove(i);
  EXPECT_EQ(receiver_->counts().held, 0U);
}

TEST_F(TapReceiverTest, ATapThatForcesPacketsInPiecesLosesThemAlone) {
  std::vector<net::UniqueFd> taps;
  const auto halves = packed_datagrams(1, 1, 60'000);
  for (std::uint32_t i = 1; i <= 20; ++i) {
    const std::string address = "127.0.1." + std::to_string(i);
    receiver_->expect(i, ip(address));
    taps.push_back(tap_at(address.c_str()));
    send_all(taps.back(), {halves.begin(), halves.end() - 1});
    read_all();
    EXPECT_LE(receiver_->counts().held, 200'000U);
  }
  receiver_->expect(99, ip("127.0.2.1"));
  const auto honest = tap_at("127.0.2.1");
  send_all(honest, packed_datagrams(1, 100, 1'400));
  read_all();
  EXPECT_EQ(receiver_->received_from(99).counts.packets, 100U);
}

TEST(DatagramPortTest, TellsTheSizeOfTheBufferThatTheSystemGranted) {
  const auto small = open_datagram_port({"127.0.0.1", 0}, 8U << 10);
  const auto large = open_datagram_port({"127.0.0.1", 0}, 64U << 10);
  ASSERT_TRUE(small && large);
  EXPECT_GE(buffer_size(small->get()), 8U << 10);
  EXPECT_GT(buffer_size(large->get()), buffer_size(small->get()));
  EXPECT_EQ(buffer_size(-1), 0U);
}

}  // namespace
}  // namespace sidetap::collector
