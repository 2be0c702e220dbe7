// What the ring tells of packets that the kernel leaves to the card to split, as the restorer takes
// it.
#include <cstddef>
#include <cstdint>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"
#include "sidecar/fidelity/restorer.h"
#include "tests/unit/sidecar_capture/ring_fixture.h"

namespace sidetap::capture::ring_test {
namespace {

std::uint16_t half(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                    std::to_integer<unsigned>(bytes[at + 1]));
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

/// A TCP server that lives in another namespace, where far0 goes; its route makes segments shorter
/// than the MTU asks for. It takes one connection.
class FarServer {
 public:
  ~FarServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // also where nobody has connected
    seen_.set_value();
    thread_.join();
  }
  /// Returns when it listens.
  void start() {
    const bool moved = run("ip link set far0 netns " + std::to_string(name_.get_future().get()));
    moved_.set_value();
    ASSERT_TRUE(moved);
    ready_.get_future().wait();
  }
  /// How many bytes came until its client closed the connection; waits for that.
  std::size_t received() { return received_.get_future().get(); }

 private:
  void serve() {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    name_.set_value(gettid());
    moved_.get_future().wait();
    ASSERT_TRUE(
        run("ip addr add 10.55.0.2/24 dev far0 && ip link set far0 up && "
            "ip route change 10.55.0.0/24 dev far0 src 10.55.0.2 advmss 700"));
    listener_ = net::UniqueFd(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(8080);
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    ASSERT_EQ(listen(listener_.get(), 1), 0);
    ready_.set_value();
    const net::UniqueFd peer(accept(listener_.get(), nullptr, nullptr));
    char buffer[65'536];
    std::size_t total = 0;
    for (ssize_t got = 0; (got = ::read(peer.get(), buffer, sizeof buffer)) > 0;)
      total += static_cast<std::size_t>(got);
    received_.set_value(total);
    // With this thread its namespace goes, and with that both ends of the link.
    seen_.get_future().wait();
  }

  net::UniqueFd listener_;
  std::promise<pid_t> name_;
  std::promise<void> moved_;
  std::promise<void> ready_;
  std::promise<std::size_t> received_;
  std::promise<void> seen_;
  std::thread thread_{[this] { serve(); }};
};

TEST_F(RingSource, TcpComesApartBySegmentsOfTheConnectionNotOfTheMtu) {
  ASSERT_TRUE(run("ip addr add 10.55.0.1/24 dev pod0"));
  FarServer far;
  ASSERT_NO_FATAL_FAILURE(far.start());
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
  const std::size_t received = far.received();
  Keeper keeper;
  collect(*source, keeper, 10'000);
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
}  // namespace sidetap::capture::ring_test
