// Two taps and the network between them, without a kernel: whatever two pods send to each other,
// each packet is owned exactly once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sanitizer.h"
#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {

/// Seeds of a model in which taps know no facts about Services.
inline std::vector<unsigned> seeds_without_facts() {
  if (testing_support::kFewRounds) return {1U};
  return {1U, 2U, 3U, 20251U};
}

/// The same, and some with facts.
inline std::vector<unsigned> seeds_of_models() {
  std::vector<unsigned> all = seeds_without_facts();
  all.push_back(100'001U);
  if (!testing_support::kFewRounds) all.insert(all.end(), {100'002U, 100'003U});
  return all;
}

class Model : public testing::TestWithParam<unsigned> {
 protected:
  /// From here on, seeds come with random facts about Services.
  static constexpr unsigned kWithFacts = 100'000;

  void SetUp() override {
    if (GetParam() < kWithFacts) return;
    const char* const kAll = "10.0.0.0/24,!10.0.0.100/30,fd00::/64,!fd00::64/126";
    for (test::Pod* pod : {&one, &two})
      pod->engine.set_tapped_peers(
          std::make_shared<const TappedPeers>(with_facts(test::tapped(kAll))));
  }
  /// Endpoints and ports among those that any_port() prefers, of both pods; the same every time.
  static TappedPeers with_facts(TappedPeers peers) {
    if (GetParam() < kWithFacts) return peers;
    std::mt19937 facts{GetParam()};
    std::vector<net::TransportAddress> endpoints;
    std::vector<net::TransportAddress> ports;
    static constexpr std::uint8_t kProtocols[] = {6, 17, 33, 132, 136};
    static constexpr std::uint16_t kPorts[] = {53, 80, 7946, 32767, 32768, 50051, 60999, 61000};
    for (const std::uint8_t protocol : kProtocols) {
      for (const std::uint16_t port : kPorts) {
        if (facts() % 2 == 0) ports.push_back({net::IpAddress::v4(0), protocol, port});
        for (const char* address : {"10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"})
          if (facts() % 3 == 0) endpoints.push_back({ip(address), protocol, port});
      }
    }
    peers.client_owned = TransportSet(endpoints);
    peers.server_ports = PortSet(ports);
    return peers;
  }
  unsigned dice(unsigned sides) { return static_cast<unsigned>(random() % sides); }
  std::uint16_t any_port() {
    // Few ports, so that they collide and coincide, and sometimes any at all.
    static constexpr std::uint16_t kSome[] = {0, 53, 80, 7946, 32767, 32768, 50051, 60999, 61000};
    return dice(4) == 0 ? static_cast<std::uint16_t>(random())
                        : kSome[dice(static_cast<unsigned>(std::size(kSome)))];
  }
  test::PacketBuilder between(bool from_one, bool v6) {
    const char* a = v6 ? "fd00::1" : "10.0.0.1";
    const char* b = v6 ? "fd00::2" : "10.0.0.2";
    return test::packet()
        .from(from_one ? a : b)
        .to(from_one ? b : a)
        .source_mac(test::mac(from_one ? 1 : 2))
        .destination_mac(test::mac(from_one ? 2 : 1));
  }
  /// Of any kind, between the pods; some come in three fragments, one after the other. `number`
  /// grows by one with each.
  test::PacketBuilder next_packet(std::uint32_t number) {
    if (part_ == 0) {
      whole_ = between(dice(2) == 0, dice(2) == 0);
      static constexpr std::uint8_t kPorts[] = {17, 33, 132, 136};
      switch (dice(6)) {
        case 0:
          whole_.tcp(any_port(), any_port(), dice(2) == 0 ? 0x02 : 0x10);
          break;
        case 1:
          whole_.icmp(static_cast<std::uint8_t>(random()));
          break;
        default:
          whole_.ports(kPorts[dice(4)], any_port(), any_port());
          parts_ = dice(3) == 0 ? 3 : 1;
      }
    }
    test::PacketBuilder p = whole_;
    if (parts_ > 1) p.fragment(number - part_, part_, part_ + 1 < parts_);
    if (++part_ == parts_) part_ = 0, parts_ = 1;
    return p;
  }
  void expect_once(const test::PacketBuilder& p, const char* what) {
    const test::Bytes bytes = p.ethernet();
    const Decision a = one.sees(bytes);
    const Decision b = two.sees(bytes);
    ASSERT_NE(a.owned, b.owned) << what << ": " << rule_name(a.rule) << " and "
                                << rule_name(b.rule);
  }

  std::mt19937 random{GetParam()};
  test::Pod one{1};
  test::Pod two{2};

 private:
  test::PacketBuilder whole_ = test::packet();
  unsigned part_ = 0;
  unsigned parts_ = 1;
};

}  // namespace sidetap::ownership
