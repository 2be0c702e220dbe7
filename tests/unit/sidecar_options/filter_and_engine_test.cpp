// The kernel's filter and the engine, each made from the same options as in a running tap: what the
// engine would own is never dropped.
#include <gtest/gtest.h>

#include "sidecar/capture/kernel_filter.h"
#include "sidecar/ownership_options.h"
#include "tests/unit/sidecar_capture/bpf_machine.h"
#include "tests/unit/sidecar_capture/random_packets.h"

namespace sidetap {
namespace {

using namespace sidetap::test;
using capture::Direction;
using capture::LinkType;

class Everybody final : public ownership::ListeningSockets {
 public:
  bool is_listening(net::IpAddress, std::uint16_t) override { return true; }
};

std::vector<net::Cidr> prefixes(const char* text) { return net::parse_cidr_list(text).value(); }

OwnershipOptions some_options(RandomPackets& random) {
  OwnershipOptions options;
  options.pod_ips = {ip("10.0.0.1"), ip("fd00::1"), ip("fe80::1")};
  if (random() % 4 == 0) options.pod_ips.push_back(ip("10.96.0.10"));
  if (random() % 4 != 0) options.pod_subnets = prefixes("10.0.0.0/24,fd00::/64");
  if (random() % 8 != 0) options.service_subnets = prefixes("10.96.0.0/12,fd00:96::/112");
  if (random() % 4 == 0) options.untapped_services = prefixes("10.96.0.10");
  constexpr ownership::ServiceView kViews[] = {ownership::ServiceView::kAuto,
                                               ownership::ServiceView::kNever,
                                               ownership::ServiceView::kAlways};
  options.service_view = kViews[random() % 3];
  constexpr TappedPeersOption::Kind kKinds[] = {TappedPeersOption::Kind::kNone,
                                                TappedPeersOption::Kind::kAll,
                                                TappedPeersOption::Kind::kList};
  options.tapped_peers.kind = kKinds[random() % 3];
  constexpr const char* kLists[] = {"", "10.0.0.2,fd00::2", "10.0.0.0/8,fe80::/10,!10.0.0.2"};
  options.tapped_peers.list = net::CidrSet::parse_rules(kLists[random() % 3]).value();
  return options;
}

const std::vector<capture::OwnEndpoint> kOwn = {
    {capture::IpProtocol::kTcp, ip("10.0.0.1"), 40001, ip("192.0.2.1"), 2003},
    {capture::IpProtocol::kUdp, ip("10.0.0.1"), 40002, ip("192.0.2.1"), 2004},
    {capture::IpProtocol::kUdp, ip("fd00::1"), 40003, ip("2001:db8::1"), 2004},
    {.protocol = capture::IpProtocol::kTcp, .local = {}, .local_port = 15920, .remote = {}}};

class Tap {
 public:
  Tap(RandomPackets& random, LinkType link) : link_(link) {
    const OwnershipOptions options = some_options(random);
    ownership::Self self = make_self(options, {}, "");
    self.mac = mac(1);
    self.broadcasts = {ip("10.0.0.255")};
    auto config = make_engine_config(options, self, {ip("10.0.0.254"), ip("fe80::2")});
    config.own_endpoints = kOwn;
    config.flow_capacity = 8;
    config.fragment_capacity = 4;
    program_ =
        capture::build_kernel_filter({.link = link,
                                      .self = self.addresses,
                                      .mac = self.mac,
                                      .broadcasts = self.broadcasts,
                                      .own = kOwn,
                                      .unowned_peers = unowned_peers(options, config.tapped_peers)})
            .value();
    engine_.emplace(std::move(config), everybody_);
  }

  bool keeps(const Bytes& bytes, unsigned type) const {
    return run_bpf(program_, bytes, type) != 0;
  }
  ownership::Decision decides(const Bytes& bytes, unsigned type) {
    capture::PacketView view = capture::parse_packet(link_, bytes);
    view.direction = type == kPacketOutgoing ? Direction::kOutbound : Direction::kInbound;
    return engine_->decide(view);
  }

 private:
  LinkType link_;
  Everybody everybody_;
  std::vector<capture::BpfInstruction> program_;
  std::optional<ownership::Engine> engine_;
};

TEST(FilterAndEngine, WhatTheEngineOwnsIsNeverDropped) {
  RandomPackets random(11);
  unsigned dropped = 0;
  for (const LinkType link : {LinkType::kEthernet, LinkType::kRawIp}) {
    for (int tap_number = 0; tap_number < 600; ++tap_number) {
      Tap tap(random, link);
      for (int round = 0; round < 500; ++round) {
        const Bytes bytes = random.packet(link);
        const capture::PacketView view = capture::parse_packet(link, bytes);
        const unsigned received = view.link_group     ? kPacketMulticast
                                  : random() % 3 == 0 ? kPacketOtherHost
                                                      : kPacketHost;
        const unsigned type = random() % 2 == 0 ? received : kPacketOutgoing;
        const auto decision = tap.decides(bytes, type);
        if (tap.keeps(bytes, type)) continue;
        ++dropped;
        ASSERT_FALSE(decision.owned)
            << "tap " << tap_number << ", round " << round << ": "
            << ownership::rule_name(decision.rule) << ' ' << view.source.to_string() << " > "
            << view.destination.to_string() << " protocol " << int{view.protocol} << " type "
            << type;
      }
    }
  }
  EXPECT_GT(dropped, 50000U) << "the property must have been tried";
}

}  // namespace
}  // namespace sidetap
