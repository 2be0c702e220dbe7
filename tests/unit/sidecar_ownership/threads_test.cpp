// Setters run on the control thread while the packet path decides. Meaningful only under
// ThreadSanitizer.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

/// A decision must be right for one of the two versions of each fact.
TEST(Threads, SettersTakeEffectInOneStepWhilePacketsAreDecided) {
  Pod pod{1};
  const Bytes asked = packet().from("10.0.0.1").to("10.0.0.2").udp(40000, 53).ethernet();
  const Bytes own = packet().from("10.0.0.1").to("192.0.2.1").udp(40001, 2003).ethernet();
  std::atomic<bool> deciding{false};
  std::atomic<bool> done{false};
  std::thread control([&] {
    Self here = pod_config(1).self;
    Self moved = here;
    moved.addresses = {ip("10.0.0.77")};
    const auto peers = std::make_shared<const TappedPeers>(tapped("10.0.0.0/24"));
    const auto nobody = std::make_shared<const TappedPeers>(TappedPeers::none());
    while (!deciding.load(std::memory_order_acquire)) std::this_thread::yield();
    for (int i = 0; i < 2000; ++i) {
      pod.engine.set_self(i % 2 == 0 ? moved : here);
      pod.engine.set_tapped_peers(i % 3 == 0 ? nobody : peers);
      if (i % 2 == 0) {
        pod.engine.set_own_endpoints(
            {{capture::IpProtocol::kUdp, ip("10.0.0.1"), 40001, ip("192.0.2.1"), 2003}});
      } else {
        pod.engine.set_own_endpoints({});
      }
    }
    pod.engine.set_self(here);
    pod.engine.set_tapped_peers(peers);
    pod.engine.set_own_endpoints({});
    done.store(true, std::memory_order_release);
  });
  std::size_t decided = 0;
  while (!done.load(std::memory_order_acquire)) {
    const Rule rule = pod.sees(asked).rule;
    EXPECT_TRUE(rule == Rule::kNotSelf || rule == Rule::kPeerUntapped ||
                rule == Rule::kEphemeralPort)
        << rule_name(rule);
    const Rule owned = pod.sees(own).rule;
    EXPECT_TRUE(owned == Rule::kNotSelf || owned == Rule::kPeerUntapped ||
                owned == Rule::kOwnTraffic)
        << rule_name(owned);
    ++decided;
    deciding.store(true, std::memory_order_release);
  }
  control.join();
  EXPECT_EQ(pod.sees(asked).rule, Rule::kEphemeralPort) << "the last word counts";
  EXPECT_EQ(pod.sees(own).rule, Rule::kPeerUntapped);
  EXPECT_GT(decided, 0U);
}

}  // namespace
}  // namespace sidetap::ownership
