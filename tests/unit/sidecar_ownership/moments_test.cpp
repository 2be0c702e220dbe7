// A packet is decided when it is read, with the peers at the moment when it passed.
#include <memory>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;
using std::chrono::milliseconds;

constexpr Moment kStart{std::chrono::hours(1)};
Moment at(int ms) { return kStart + milliseconds(ms); }

std::shared_ptr<const TappedPeers> peers(std::string_view text) {
  return std::make_shared<const TappedPeers>(tapped(text));
}

TEST(PeerHistory, TellsTheSetOfAMoment) {
  const auto first = peers("10.0.0.1"), second = peers("10.0.0.2"), third = peers("10.0.0.3");
  PeerHistory history(first);
  EXPECT_FALSE(history.has_older());
  history.add({second, at(10)});
  history.add({third, at(20)});
  EXPECT_TRUE(history.has_older());
  EXPECT_EQ(&history.at(at(9)), first.get());
  EXPECT_EQ(&history.at(at(10)), second.get());
  EXPECT_EQ(&history.at(at(19)), second.get());
  EXPECT_EQ(&history.at(at(20)), third.get());
  EXPECT_EQ(&history.at(kNow), third.get());
  EXPECT_EQ(&history.newest(), third.get());
}

TEST(PeerHistory, ForgetsWhatNoPacketCanHavePassedUnder) {
  const auto first = peers("10.0.0.1"), second = peers("10.0.0.2");
  PeerHistory history(first);
  history.add({second, at(10)});
  history.forget_before(at(9));
  EXPECT_EQ(&history.at(at(9)), first.get());
  history.forget_before(at(10));
  EXPECT_FALSE(history.has_older());
  EXPECT_EQ(&history.at(at(9)), second.get()) << "a packet that is later than anybody expects";
  EXPECT_EQ(first.use_count(), 1);
}

TEST(PeerHistory, OfMoreChangesThanItRemembersTheOldestSetStandsForThoseBefore) {
  PeerHistory history(peers("10.0.0.0/24"));
  std::vector<std::shared_ptr<const TappedPeers>> sets;
  for (int i = 0; i < 20; ++i) {
    sets.push_back(peers("10.0.0.1"));
    history.add({sets.back(), at(10 * i)});
  }
  for (int i = 0; i < 20; ++i) {
    const int remembered = std::max(i, 19 - static_cast<int>(PeerHistory::kMostOlder));
    EXPECT_EQ(&history.at(at(10 * i)), sets[static_cast<std::size_t>(remembered)].get()) << i;
  }
}

TEST(PeerHistory, ASetForEveryMomentLeavesNoneBeforeIt) {
  const auto last = peers("10.0.0.3");
  PeerHistory history(peers("10.0.0.1"));
  history.add({peers("10.0.0.2"), at(10)});
  history.add({last, Moment::min()});
  EXPECT_FALSE(history.has_older());
  EXPECT_EQ(&history.at(at(0)), last.get());
}

class Moments : public testing::Test {
 protected:
  static EngineConfig untapped() {
    EngineConfig c = pod_config(1);
    c.tapped_peers = TappedPeers::none();
    c.peers_change = true;
    return c;
  }
  Rule rule(const PacketBuilder& p, Moment moment) {
    const Bytes bytes = p.ethernet();
    return pod.engine.decide(capture::parse_packet(capture::LinkType::kEthernet, bytes), moment)
        .rule;
  }
  Pod pod{untapped()};
  const PacketBuilder asked = packet().from("10.0.0.1").to("10.0.0.2").ports(132, 40000, 2905);
  const PacketBuilder view = packet().from("10.0.0.1").to("10.96.0.10").udp(40000, 53);
};

TEST_F(Moments, WhatPassedBeforeAChangeBelongsToThePeersBefore) {
  pod.engine.set_tapped_peers(peers("10.0.0.2"), at(10));
  EXPECT_EQ(rule(asked, at(9)), Rule::kPeerUntapped);
  EXPECT_EQ(rule(asked, at(10)), Rule::kEphemeralPort);
  EXPECT_EQ(rule(asked, at(9)), Rule::kPeerUntapped) << "in another ring, read later";
  pod.engine.set_tapped_peers(peers(""), at(20));
  EXPECT_EQ(rule(asked, at(19)), Rule::kEphemeralPort) << "the peer's tap still forwards it";
  EXPECT_EQ(rule(asked, at(20)), Rule::kPeerUntapped);
  EXPECT_EQ(rule(asked, at(9)), Rule::kPeerUntapped);
  EXPECT_EQ(rule(asked, kNow), Rule::kPeerUntapped);
}

TEST_F(Moments, ViewsOfServicesBelongToTheirMomentToo) {
  TappedPeers hidden = tapped("10.0.0.2");
  hidden.tapped_services = cidrs("10.96.0.10");
  TappedPeers kept = hidden;
  kept.tapped_services = net::CidrSet();
  pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(hidden), at(10));
  pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(kept), at(20));
  EXPECT_EQ(rule(view, at(25)), Rule::kServiceViewKept);
  EXPECT_EQ(rule(view, at(15)), Rule::kServiceView);
  EXPECT_EQ(rule(view, at(5)), Rule::kServiceViewKept);
}

TEST_F(Moments, ChangesThatNoPacketHasSeenAreAllTakenOver) {
  pod.engine.set_tapped_peers(peers("10.0.0.2"), at(10));
  pod.engine.set_tapped_peers(peers(""), at(20));
  EXPECT_TRUE(pod.engine.looks_back());
  EXPECT_EQ(rule(asked, at(15)), Rule::kEphemeralPort);
  EXPECT_EQ(rule(asked, at(25)), Rule::kPeerUntapped);
}

TEST_F(Moments, WhenTheBacklogIsReadTheNewestPeersDecideAll) {
  EXPECT_FALSE(pod.engine.looks_back());
  pod.engine.set_tapped_peers(peers("10.0.0.2"), at(10));
  pod.engine.forget_peers_before(at(5));
  EXPECT_TRUE(pod.engine.looks_back());
  EXPECT_EQ(rule(asked, at(7)), Rule::kPeerUntapped);
  pod.engine.forget_peers_before(at(10));
  EXPECT_FALSE(pod.engine.looks_back());
  EXPECT_EQ(rule(asked, at(7)), Rule::kEphemeralPort);
}

/// The peer's tap decides by the ports, and for it this pod has been tapped all the time.
TEST_F(Moments, FragmentsOfADatagramThatBeganBeforeThePeerWasTappedFollowItsPorts) {
  const auto part = [](std::uint32_t offset) {
    return packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).fragment(7, offset, true);
  };
  const auto other_part = [](std::uint32_t offset) {
    return packet().from("10.0.0.1").to("10.0.0.2").udp(40000, 53).fragment(7, offset, true);
  };
  EXPECT_EQ(rule(part(0), at(9)), Rule::kPeerUntapped);
  EXPECT_EQ(rule(other_part(0), at(9)), Rule::kPeerUntapped);
  pod.engine.set_tapped_peers(peers("10.0.0.2"), at(10));
  EXPECT_EQ(rule(part(185), at(11)), Rule::kFragment);
  EXPECT_EQ(rule(other_part(185), at(11)), Rule::kFragment);
}

}  // namespace
}  // namespace sidetap::ownership
