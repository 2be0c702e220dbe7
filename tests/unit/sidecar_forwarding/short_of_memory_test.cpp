// Outputs of datagrams while the system has no memory for them. No socket of a test is ever in that
// state by itself, so this program's sendmmsg() says that it is.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sidecar/forwarding/udp_output.h"
#include "sidecar/forwarding/vxlan_output.h"
#include "tests/unit/sidecar_forwarding/sockets.h"

namespace {

int sends_fail_with = 0;  // 0: they do not

}  // namespace

extern "C" int sendmmsg(int descriptor, mmsghdr* messages, unsigned count, int flags) {
  if (sends_fail_with != 0) {
    errno = sends_fail_with;
    return -1;
  }
  return static_cast<int>(syscall(SYS_sendmmsg, descriptor, messages, count, flags));
}

namespace sidetap::forwarding {
namespace {

constexpr std::uint32_t kSomePackets = 20;
constexpr std::size_t kDatagramSize = 1472;

struct MemoryCase {
  std::string name;
  std::function<std::unique_ptr<Output>(net::UniqueFd socket)> make;
};

class ShortOfMemory : public testing::TestWithParam<MemoryCase> {
 protected:
  ~ShortOfMemory() override { sends_fail_with = 0; }

  void add_some() {
    const std::vector<std::byte> bytes(500);
    for (std::uint32_t i = 0; i < kSomePackets; ++i)
      output_->add({.header = {.captured = 500, .length = 500, .number = ++added_},
                    .head = {},
                    .body = bytes});
  }

  Pair pair_ = udp_pair();
  std::unique_ptr<Output> output_ = GetParam().make(std::move(pair_.tap));
  std::uint32_t added_ = 0;
};

TEST_P(ShortOfMemory, PacketsWaitUntilThereIsSomeAgain) {
  for (const int error : {ENOBUFS, ENOMEM}) {
    sends_fail_with = error;
    add_some();
    output_->flush();
    EXPECT_FALSE(output_->takes_more()) << "what comes now goes to the backlog";
    EXPECT_TRUE(output_->must_retry());
    EXPECT_EQ(output_->blocked_descriptor(), -1) << "the socket would count as writable";
    output_->flush();
    EXPECT_EQ(output_->counts().forwarded.value(), added_ - kSomePackets);
    sends_fail_with = 0;
    output_->flush();
    EXPECT_TRUE(output_->takes_more());
    EXPECT_FALSE(output_->must_retry());
    EXPECT_EQ(output_->counts().forwarded.value(), added_);
  }
  EXPECT_EQ(output_->counts().dropped_total(), 0U);
}

TEST_P(ShortOfMemory, AtTheEndWhatStillWaitsIsCounted) {
  sends_fail_with = ENOBUFS;
  add_some();
  output_->finish();
  EXPECT_EQ(output_->counts().dropped[static_cast<unsigned>(DropCause::kSocketFull)].value(),
            kSomePackets);
  EXPECT_EQ(output_->counts().dropped_total(), kSomePackets);
}

INSTANTIATE_TEST_SUITE_P(
    Outputs, ShortOfMemory,
    testing::Values(MemoryCase{"Udpstr",
                               [](net::UniqueFd socket) {
                                 return make_udpstr_output(std::move(socket), kDatagramSize,
                                                           nullptr);
                               }},
                    MemoryCase{"PlainUdp",
                               [](net::UniqueFd socket) {
                                 return make_plain_udp_output(std::move(socket), kDatagramSize,
                                                              nullptr);
                               }},
                    MemoryCase{"Vxlan",
                               [](net::UniqueFd socket) {
                                 std::vector<net::UniqueFd> sockets;
                                 sockets.push_back(std::move(socket));
                                 return make_vxlan_output(std::move(sockets), {});
                               }}),
    [](const testing::TestParamInfo<MemoryCase>& each) { return each.param.name; });

}  // namespace
}  // namespace sidetap::forwarding
