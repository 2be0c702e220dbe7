#include "shared/net/datagram_batch.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"

namespace sidetap::net {
namespace {

using testing::ElementsAre;

/// A port of the loopback interface, and a socket that sends to it.
class DatagramBatchTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(port_ && sender_);
    sockaddr_storage address{};
    const auto size =
        static_cast<socklen_t>(write_socket_address({IpAddress::v4(0x7f000001), 0}, address));
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(bind(port_.get(), name, size), 0);
    prepare_datagram_port(port_.get(), 1U << 20);
    ASSERT_EQ(address_of(port_.get(), address), 0);
    ASSERT_EQ(connect(sender_.get(), name, size), 0);
    ASSERT_EQ(address_of(sender_.get(), address), 0);
    sender_address_ = read_socket_address(name);
  }

  static int address_of(int socket, sockaddr_storage& address) {
    socklen_t size = sizeof address;
    return getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  }

  void send(const std::string& text) {
    ASSERT_EQ(::send(sender_.get(), text.data(), text.size(), 0),
              static_cast<ssize_t>(text.size()));
  }

  /// Everything that has arrived, a text for each datagram.
  std::vector<std::string> receive() {
    std::vector<std::string> texts;
    while (const std::size_t messages = batch_.receive(port_.get())) {
      for (std::size_t i = 0; i < messages; ++i) {
        const DatagramMessage message = batch_.message(i);
        EXPECT_EQ(message.sender, sender_address_);
        const std::size_t before = texts.size();
        message.for_each_datagram([&](std::span<const std::byte> bytes) {
          texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        EXPECT_EQ(message.datagrams(), std::max<std::size_t>(texts.size() - before, 1));
      }
    }
    return texts;
  }

  UniqueFd port_{socket(AF_INET, SOCK_DGRAM, 0)};
  UniqueFd sender_{socket(AF_INET, SOCK_DGRAM, 0)};
  SocketAddress sender_address_;
  DatagramBatch batch_;
};

TEST_F(DatagramBatchTest, ReadsDatagramsInOrder) {
  EXPECT_EQ(batch_.receive(port_.get()), 0U) << "nothing has arrived, and it does not wait";
  std::vector<std::string> sent;
  for (std::size_t i = 0; i < DatagramBatch::kMessages + 3; ++i) {
    sent.push_back(std::string(i + 1, static_cast<char>('a' + i % 26)));
    send(sent.back());
  }
  EXPECT_EQ(receive(), sent);
}

TEST_F(DatagramBatchTest, SplitsWhatTheKernelHasJoined) {
  const int each = 4;
  ASSERT_EQ(setsockopt(sender_.get(), SOL_UDP, UDP_SEGMENT, &each, sizeof each), 0);
  send("aaaabbbbcc");
  ASSERT_EQ(batch_.receive(port_.get()), 1U);
  EXPECT_EQ(batch_.message(0).each, 4U);
  EXPECT_EQ(batch_.message(0).datagrams(), 3U);
  send("aaaabbbbcc");
  EXPECT_THAT(receive(), ElementsAre("aaaa", "bbbb", "cc"));
}

TEST_F(DatagramBatchTest, AnEmptyDatagramIsOne) {
  send("");
  ASSERT_EQ(batch_.receive(port_.get()), 1U);
  EXPECT_EQ(batch_.message(0).datagrams(), 1U);
  EXPECT_TRUE(batch_.message(0).bytes.empty());
}

TEST_F(DatagramBatchTest, TakesTheLargestDatagram) {
  const std::string largest(65'507, 'x');
  send(largest);
  EXPECT_THAT(receive(), ElementsAre(largest));
}

TEST(DatagramBatchErrorTest, AnInvalidSocketGivesNothing) {
  DatagramBatch batch;
  EXPECT_EQ(batch.receive(-1), 0U);
}

}  // namespace
}  // namespace sidetap::net
