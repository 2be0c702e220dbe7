#include "sidecar/forwarding/capture_format.h"

#include <cstring>

namespace sidetap::forwarding {
namespace {

// The magic number tells a reader which byte order it is.
struct PcapFileHeader {
  std::uint32_t magic = 0xa1b2c3d4;
  std::uint16_t major = 2;
  std::uint16_t minor = 4;
  std::uint32_t zone = 0;
  std::uint32_t accuracy = 0;
  std::uint32_t snaplen = 0;
  std::uint32_t link_type = 0;
};
static_assert(sizeof(PcapFileHeader) == 24);
struct PcapRecordHeader {
  std::uint32_t seconds;
  std::uint32_t microseconds;
  std::uint32_t captured;
  std::uint32_t length;
};
static_assert(sizeof(PcapRecordHeader) == 16);
static_assert(sizeof(PcapRecordHeader) <= sizeof(RecordFrame::head_bytes));

std::vector<std::byte> pcap_beginning(const CaptureHeading& heading) {
  PcapFileHeader header;
  header.snaplen = heading.snaplen;
  header.link_type = heading.link_type;
  std::vector<std::byte> bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

void append_pair(std::string& text, std::string_view key, const std::string& value) {
  if (value.empty()) return;
  text += (text.empty() ? "" : ";") + std::string(key) + "=" + value;
}

}  // namespace

InterfaceLabel label_of(const PodLabel& pod, std::string_view interface) {
  InterfaceLabel label;
  if (!pod.name.empty()) label.name = (pod.space.empty() ? "" : pod.space + "/") + pod.name + " ";
  label.name += interface;
  append_pair(label.description, "k8s.podName", pod.name);
  append_pair(label.description, "k8s.namespace", pod.space);
  append_pair(label.description, "k8s.node", pod.node);
  return label;
}

std::vector<NamedAddress> names_of(const PodLabel& pod, std::span<const net::IpAddress> addresses) {
  std::vector<NamedAddress> names;
  if (pod.name.empty()) return names;
  for (const net::IpAddress address : addresses)
    names.push_back({address, pod.name + (pod.space.empty() ? "" : "." + pod.space)});
  return names;
}

std::vector<std::byte> beginning_of(const CaptureHeading& heading) {
  if (heading.format == CaptureFormat::kPcap) return pcap_beginning(heading);
  std::vector<std::byte> bytes;
  const PcapngWriter writer(heading.link_type, heading.snaplen);
  PcapngWriter::add_section(bytes, "sidetap-sidecar " SIDETAP_VERSION);
  for (const InterfaceLabel& each : heading.interfaces)
    writer.add_interface(bytes, each.name, each.description);
  PcapngWriter::add_names(bytes, heading.names);
  return bytes;
}

std::vector<std::byte> addition_to(const CaptureHeading& heading, const InterfaceLabel* interface,
                                   std::span<const NamedAddress> names) {
  std::vector<std::byte> bytes;
  const PcapngWriter writer(heading.link_type, heading.snaplen);
  if (interface != nullptr) writer.add_interface(bytes, interface->name, interface->description);
  PcapngWriter::add_names(bytes, names);
  return bytes;
}

RecordFrame frame_of(CaptureFormat format, const PacketRecord& packet) {
  if (format == CaptureFormat::kPcapng) return PcapngWriter::frame(packet);
  const PcapRecordHeader header{packet.seconds, packet.nanoseconds / 1000, packet.captured,
                                packet.length};
  RecordFrame frame;
  std::memcpy(frame.head_bytes.data(), &header, sizeof header);
  frame.head_size = sizeof header;
  return frame;
}

std::size_t record_size(CaptureFormat format, std::uint32_t captured) {
  return format == CaptureFormat::kPcapng ? PcapngWriter::size_of_packet(captured)
                                          : sizeof(PcapRecordHeader) + captured;
}

std::vector<std::byte> ending_of(CaptureFormat format, std::uint64_t time,
                                 std::span<const InterfaceTotals> interfaces) {
  std::vector<std::byte> bytes;
  if (format == CaptureFormat::kPcap) return bytes;
  for (std::size_t i = 0; i < interfaces.size(); ++i)
    PcapngWriter::add_statistics(bytes, static_cast<std::uint32_t>(i), time, interfaces[i]);
  return bytes;
}

std::size_t ending_size(CaptureFormat format, std::size_t interfaces) {
  return format == CaptureFormat::kPcap ? 0 : interfaces * PcapngWriter::kStatisticsSize;
}

}  // namespace sidetap::forwarding
