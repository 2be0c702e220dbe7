// How packets stand in a capture file or stream, pcap or pcapng: what begins it, what is around
// each packet, and what ends it. Pure: bytes out, in this machine's byte order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/forwarding/pcapng_writer.h"

namespace sidetap::forwarding {

enum class CaptureFormat : std::uint8_t {
  kPcap,    ///< draft-ietf-opsawg-pcap, with microseconds; every reader takes it.
  kPcapng,  ///< pcapng_writer.h: nanoseconds, names, and what was dropped.
};

/// What a reader is told of an interface; only pcapng has room for it.
struct InterfaceLabel {
  std::string name{};
  std::string description{};
};

/// The pod that packets are of, as far as it is known.
struct PodLabel {
  std::string name{};
  std::string space{};  ///< Its namespace.
  std::string node{};
};

struct CaptureHeading {
  CaptureFormat format = CaptureFormat::kPcap;
  std::uint16_t link_type = 1;  ///< LINKTYPE_ number.
  std::uint32_t snaplen = 262'144;
  std::vector<InterfaceLabel> interfaces{};  ///< By their numbers; pcap does not tell them apart.
  std::vector<NamedAddress> names{};
};

/// "shop/web-1 eth0", and "k8s.podName=web-1;k8s.namespace=shop;k8s.node=node-2", as other tools
/// describe the interfaces of pods.
InterfaceLabel label_of(const PodLabel& pod, std::string_view interface);
/// Each address as "web-1.shop". None if the pod's name is not known.
std::vector<NamedAddress> names_of(const PodLabel& pod, std::span<const net::IpAddress> addresses);

std::vector<std::byte> beginning_of(const CaptureHeading& heading);
/// Blocks of pcapng that may stand anywhere behind the beginning: one more interface, unless it is
/// null, and names.
std::vector<std::byte> addition_to(const CaptureHeading& heading, const InterfaceLabel* interface,
                                   std::span<const NamedAddress> names);
RecordFrame frame_of(CaptureFormat format, const PacketRecord& packet);
/// Bytes of the record of a packet of which `captured` bytes are written.
std::size_t record_size(CaptureFormat format, std::uint32_t captured);
/// `interfaces` are those of the heading and of all additions. `time`: of the totals, in
/// nanoseconds since 1970.
std::vector<std::byte> ending_of(CaptureFormat format, std::uint64_t time,
                                 std::span<const InterfaceTotals> interfaces);
std::size_t ending_size(CaptureFormat format, std::size_t interfaces);

}  // namespace sidetap::forwarding
