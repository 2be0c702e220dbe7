#include "sidecar/mesh/leg_rewriter.h"

#include <algorithm>

#include "sidecar/fidelity/checksum.h"

namespace sidetap::mesh {
namespace {

constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kTcpChecksum = 16;
constexpr std::uint32_t kTcpNumber = 6;

using MutableBytes = std::span<std::byte>;

std::uint32_t read16(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<std::uint32_t>(bytes[at]) << 8 |
         std::to_integer<std::uint32_t>(bytes[at + 1]);
}

void write16(MutableBytes bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8 & 0xff);
  bytes[at + 1] = static_cast<std::byte>(value & 0xff);
}

/// A sum in which `before` is replaced by `after`, both folded.
std::uint32_t replaced(std::uint32_t sum, std::uint32_t before, std::uint32_t after) {
  return fidelity::fold(std::uint64_t{sum} + (~before & 0xffff) + after);
}

net::IpAddress of_family(const std::vector<net::IpAddress>& addresses, net::IpAddress as) {
  for (const net::IpAddress address : addresses)
    if (address.is_v4() == as.is_v4()) return address;
  return as;
}

void write_address(MutableBytes into, net::IpAddress address) {
  if (into.size() == 4) {
    std::ranges::copy(address.v4_bytes(), into.begin());
  } else {
    std::ranges::copy(address.v6_bytes(), into.begin());
  }
}

/// The headers of one packet of TCP, in bytes that can be changed.
class Headers {
 public:
  Headers(MutableBytes bytes, const capture::PacketView& view)
      : bytes_(bytes),
        network_(view.network_offset),
        transport_(view.transport_offset),
        v6_(std::to_integer<unsigned>(bytes[view.network_offset]) >> 4 == 6) {}

  std::uint32_t ip_header_bytes() const {
    return static_cast<std::uint32_t>(transport_ - network_);  // extensions included
  }
  /// Bytes of the TCP segment.
  std::uint32_t segment_bytes() const {
    const std::uint32_t length = read16(bytes_, network_ + (v6_ ? 4 : 2));
    if (length == 0) return static_cast<std::uint32_t>(bytes_.size() - transport_);
    const std::size_t end = network_ + (v6_ ? kIpv6Header : 0) + length;
    return static_cast<std::uint32_t>(end > transport_ ? end - transport_ : 0);
  }
  std::uint32_t tcp_header_bytes() const {
    return (std::to_integer<std::uint32_t>(bytes_[transport_ + 12]) >> 4) * 4;
  }
  /// Whether the field holds only the sum of the pseudo-header, as far as that can be told.
  bool looks_partial() const {
    const std::uint32_t segment = segment_bytes();
    const std::uint32_t pseudo =
        fidelity::fold(fidelity::sum_words(bytes_.subspan(addresses_at(), addresses_size())) +
                       kTcpNumber + (segment >> 16) + (segment & 0xffff));
    return read16(bytes_, transport_ + kTcpChecksum) == pseudo;
  }

  void set_addresses(net::IpAddress source, net::IpAddress destination, bool partial) {
    const MutableBytes both = bytes_.subspan(addresses_at(), addresses_size());
    const std::uint32_t before = fidelity::fold(fidelity::sum_words(both));
    write_address(both.first(both.size() / 2), source);
    write_address(both.last(both.size() / 2), destination);
    const std::uint32_t after = fidelity::fold(fidelity::sum_words(both));
    if (before == after) return;
    const std::size_t checksum = transport_ + kTcpChecksum;
    if (partial) {
      write16(bytes_, checksum, replaced(read16(bytes_, checksum), before, after));
    } else {
      replace_in_checksum(checksum, before, after);
    }
    if (!v6_) replace_in_checksum(network_ + 10, before, after);
  }

 private:
  std::size_t addresses_at() const { return network_ + (v6_ ? 8 : 12); }
  std::size_t addresses_size() const { return v6_ ? 32 : 8; }
  /// RFC 1624.
  void replace_in_checksum(std::size_t at, std::uint32_t before, std::uint32_t after) {
    write16(bytes_, at, ~replaced(~read16(bytes_, at) & 0xffff, before, after) & 0xffff);
  }

  MutableBytes bytes_;
  std::size_t network_;
  std::size_t transport_;
  bool v6_;
};

/// Without what the kernel says, the segments are made by the MTU anyway.
void limit_segments(const Headers& headers, std::uint32_t mtu, capture::Offload& offload) {
  if (!offload.known || mtu == 0) return;
  const std::uint32_t head = headers.ip_header_bytes() + headers.tcp_header_bytes();
  if (head >= mtu) return;
  const std::uint32_t most = std::min<std::uint32_t>(mtu - head, 0xffff);
  const std::uint32_t segment = headers.segment_bytes();
  if (segment <= headers.tcp_header_bytes() + most) return;
  if (offload.segment_size == 0 || offload.segment_size > most)
    offload.segment_size = static_cast<std::uint16_t>(most);
  offload.udp_segments = false;
}

}  // namespace

net::IpAddress LegRewriter::shown_client(net::IpAddress client) const {
  const bool real = !is_stand_in(client) && !client.is_loopback() &&
                    std::find(self_.begin(), self_.end(), client) == self_.end();
  return real ? client : of_family(facts_.clients, client);
}

net::IpAddress LegRewriter::shown_server(net::IpAddress server) const {
  return server.is_loopback() ? of_family(facts_.pod_addresses, server) : server;
}

capture::CapturedPacket LegRewriter::rewrite(const capture::CapturedPacket& packet,
                                             const capture::PacketView& view, const LegKey& key) {
  MutableBytes bytes = packet.writable;
  if (bytes.empty()) {
    copy_.assign(packet.bytes.begin(), packet.bytes.end());
    bytes = copy_;
  }
  capture::CapturedPacket rewritten = packet;
  rewritten.direction = capture::Direction::kUnknown;
  const bool to_server = view.destination == key.server && view.source == key.client &&
                         view.source_port == key.client_port;
  const net::IpAddress client = shown_client(key.client);
  const net::IpAddress server = shown_server(key.server);
  if (bytes.size() >= std::size_t{view.transport_offset} + 20) {
    Headers headers(bytes, view);
    const bool partial =
        packet.offload.known ? packet.offload.checksum_partial : headers.looks_partial();
    headers.set_addresses(to_server ? client : server, to_server ? server : client, partial);
    limit_segments(headers, facts_.mtu, rewritten.offload);
  }
  const MacAddress& destination = to_server ? facts_.pod : facts_.peer;
  const MacAddress& source = to_server ? facts_.peer : facts_.pod;
  std::ranges::copy(destination, bytes.begin());
  std::ranges::copy(source, bytes.begin() + destination.size());
  if (facts_.link == capture::LinkType::kRawIp) {
    const std::uint16_t header = view.network_offset;
    bytes = bytes.subspan(header);
    rewritten.length -= header;
    std::uint16_t& start = rewritten.offload.checksum_start;
    start = static_cast<std::uint16_t>(start - std::min(header, start));
  }
  rewritten.writable = bytes;
  rewritten.bytes = bytes;
  return rewritten;
}

}  // namespace sidetap::mesh
