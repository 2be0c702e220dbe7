// A good tap's answers to the sensor's side of a session.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_collector/scripted_tap.h"

namespace sidetap::collector {

inline const rpcap::Filter kNarrow = {{0x28, 0, 0, 12}, {6, 0, 0, 96}};

inline rpcap::Interface interface_with(std::string name, std::string description,
                                       std::vector<net::IpAddress> addresses) {
  rpcap::Interface interface {
    .name = std::move(name), .description = std::move(description), .flags = 0, .addresses = {}
  };
  for (const net::IpAddress& address : addresses)
    interface.addresses.push_back({address, {}, {}, {}});
  return interface;
}
inline const rpcap::Interface kEth0 =
    interface_with("eth0", "shop/cart", {net::IpAddress::v4(0x0af40107)});

inline rpcap::Bytes empty_message(rpcap::MessageType type) { return rpcap::encode_empty(type); }
inline rpcap::Bytes list(const std::vector<rpcap::Interface>& interfaces) {
  return rpcap::encode_interfaces(interfaces, rpcap::Ipv6Family::kLinux);
}
inline rpcap::Bytes opened(std::int32_t link_type = 1) {
  return rpcap::encode_open_reply({.link_type = link_type, .time_zone_offset = 0});
}

/// Answers as a good tap does, until the session has come to `phase`.
inline void bring_to(ScriptedTap& tap, TapPhase phase) {
  tap.send(empty_message(rpcap::MessageType::kAuthReply));
  tap.send(list({kEth0}));
  if (phase == TapPhase::kOpening) return;
  tap.send(opened());
  if (phase == TapPhase::kStarting) return;
  tap.send(rpcap::encode_start_reply({.buffer_size = 1, .data_port = 0}));
  ASSERT_EQ(tap.phase(), TapPhase::kCapturing);
  if (phase == TapPhase::kCapturing) return;
  tap.resume(StopRequested{});
}

}  // namespace sidetap::collector
