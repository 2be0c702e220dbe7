// The kernel's filter and the engine, each made from the same options as in a running tap: what the
// engine would own is never dropped, and an echo gets past neither.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "sidecar/options/ownership_options.h"
#include "sidecar/packet/kernel_filter.h"
#include "tests/support/sanitizer.h"
#include "tests/unit/sidecar_packet/bpf_machine.h"
#include "tests/unit/sidecar_packet/random_packets.h"

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
    {.protocol = capture::IpProtocol::kTcp, .local = {}, .local_port = 15920, .remote = {}},
    {.protocol = capture::IpProtocol::kUdp,
     .local = {},
     .local_port = 40004,
     .remote = ip("192.0.2.1"),
     .remote_port = 53,
     .every_local_port = true}};

class Tap {
 public:
  Tap(RandomPackets& random, LinkType link) : link_(link) {
    const OwnershipOptions options = some_options(random);
    ownership::Self self = make_self(options, {}, "");
    self.mac = mac(1);
    // On ipvlan others have the MAC address too, and it tells less.
    if (random() % 2 == 0) self.senders = {mac(9), self.mac};
    self_ = self;
    self.broadcasts = {ip("10.0.0.255")};
    auto config = make_engine_config(options, self, {ip("10.0.0.254"), ip("fe80::2")});
    config.own_endpoints = kOwn;
    config.flow_capacity = 8;
    config.fragment_capacity = 4;
    program_ =
        capture::build_kernel_filter({.link = link,
                                      .self = self.addresses,
                                      .mac = self.mac,
                                      .senders = self.senders,
                                      .broadcasts = self.broadcasts,
                                      .own = kOwn,
                                      .unowned_peers = unowned_peers(options, config.tapped_peers)})
            .value();
    engine_.emplace(std::move(config), everybody_);
  }

  bool keeps(const Bytes& bytes, unsigned type) const {
    return run_bpf(program_, bytes, type) != 0;
  }
  /// The pod has sent it, and it comes back: from a MAC address that is the pod's alone. Not what
  /// is for the pod alone: that comes by way of a Service.
  bool is_echo(const capture::PacketView& view, unsigned type) const {
    const auto& senders = self_.senders;
    const bool from_own_mac =
        view.has_mac && type != kPacketOutgoing &&
        std::find(senders.begin(), senders.end(), view.source_mac) != senders.end();
    const bool to_self = view.is_ip() && !view.link_group && is_self(view.destination);
    return from_own_mac && !to_self;
  }
  bool is_self(net::IpAddress address) const {
    const auto& mine = self_.addresses;
    return std::find(mine.begin(), mine.end(), address) != mine.end();
  }
  ownership::Decision decides(const Bytes& bytes, unsigned type) {
    capture::PacketView view = capture::parse_packet(link_, bytes);
    view.direction = type == kPacketOutgoing ? Direction::kOutbound : Direction::kInbound;
    return engine_->decide(view);
  }

 private:
  LinkType link_;
  ownership::Self self_;
  Everybody everybody_;
  std::vector<capture::BpfInstruction> program_;
  std::optional<ownership::Engine> engine_;
};

/// Each with options of its own.
constexpr unsigned kTaps = testing_support::kFewRounds ? 150 : 600;

TEST(FilterAndEngine, WhatTheEngineOwnsIsNeverDropped) {
  RandomPackets random(11);
  unsigned dropped = 0;
  for (const LinkType link : {LinkType::kEthernet, LinkType::kRawIp}) {
    for (unsigned tap_number = 0; tap_number < kTaps; ++tap_number) {
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
  EXPECT_GT(dropped, 60 * kTaps) << "the property must have been tried";
}

/// What the filter leaves to the process: tags in the packet, IP that is cut or malformed, what
/// may be an IPv4 address in an IPv6 one, and frames whose IP address is the pod's and whose MAC
/// address a group's.
bool is_plain(const Bytes& bytes, const capture::PacketView& view) {
  const unsigned type =
      std::to_integer<unsigned>(bytes[12]) << 8 | std::to_integer<unsigned>(bytes[13]);
  if (type != view.ether_type || type == 0x8100) return false;
  if (type == 0x0800) return view.is_ip();
  if (type != 0x86dd) return true;
  return view.is_ip() && !view.destination.is_v4() && view.destination.high() != 0;
}

TEST(FilterAndEngine, AnEchoIsNeitherOwnedNorLetThrough) {
  RandomPackets random(13);
  unsigned echoes = 0;
  for (unsigned tap_number = 0; tap_number < kTaps; ++tap_number) {
    Tap tap(random, LinkType::kEthernet);
    for (int round = 0; round < 500; ++round) {
      const Bytes bytes = random.packet(LinkType::kEthernet);
      const capture::PacketView view = capture::parse_packet(LinkType::kEthernet, bytes);
      const unsigned type = view.link_group ? kPacketMulticast : kPacketHost;
      if (!tap.is_echo(view, type)) continue;
      ++echoes;
      const auto decision = tap.decides(bytes, type);
      const std::string what = std::string(ownership::rule_name(decision.rule)) + ' ' +
                               view.source.to_string() + " > " + view.destination.to_string();
      ASSERT_FALSE(decision.owned) << "tap " << tap_number << ", round " << round << ": " << what;
      if (!is_plain(bytes, view) || tap.is_self(view.destination)) continue;
      ASSERT_FALSE(tap.keeps(bytes, type))
          << "tap " << tap_number << ", round " << round << ": " << what;
    }
  }
  EXPECT_GT(echoes, 25 * kTaps) << "the property must have been tried";
}

}  // namespace
}  // namespace sidetap
