#include "sidecar/capture/ring.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace sidetap::capture {
namespace {

// struct virtio_net_hdr and its values; linux/virtio_net.h itself is no C++. In the order of this
// machine: flags u8, gso_type u8, hdr_len u16, gso_size u16, csum_start u16, csum_offset u16.
constexpr std::size_t kOffloadHeaderSize = 10;
constexpr unsigned kNeedsChecksum = 1;
constexpr unsigned kGsoUdpFragments = 3;
constexpr unsigned kGsoUdpSegments = 5;
constexpr unsigned kGsoEcn = 0x80;

constexpr std::size_t kVlanTag = 4;
constexpr std::size_t kMacs = 12;

Error failed(const std::string& what) { return {what + ": " + std::strerror(errno)}; }

template <class Value>
bool set_option(int descriptor, int option, const Value& value) {
  return setsockopt(descriptor, SOL_PACKET, option, &value, sizeof value) == 0;
}

/// The address that the kernel gives with each packet stands behind its header.
Direction read_direction(const std::byte* packet) {
  const auto& address =
      *reinterpret_cast<const sockaddr_ll*>(packet + TPACKET_ALIGN(sizeof(tpacket3_hdr)));
  return address.sll_pkttype == PACKET_OUTGOING ? Direction::kOutbound : Direction::kInbound;
}

/// The kernel has written it on another CPU: its headers are fetched while the packet before it is
/// dealt with.
void prefetch(const std::byte* packet) {
  constexpr std::size_t kCacheLine = 64;
  constexpr std::size_t kHeaders = 3 * kCacheLine;  // of the ring, the offloads, link to transport
  for (std::size_t at = 0; at < kHeaders; at += kCacheLine) __builtin_prefetch(packet + at);
}

/// The word by which kernel and process pass a block to each other.
std::atomic_ref<std::uint32_t> status_of(std::byte* block) {
  return std::atomic_ref(reinterpret_cast<tpacket_block_desc*>(block)->hdr.bh1.block_status);
}

/// Field by field from registers: what is written in pieces and read as one costs a stall, for each
/// packet.
void read_offload(const std::byte* bytes, Offload& offload) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t word;
  std::uint16_t checksum_offset;
  std::memcpy(&word, bytes, sizeof word);
  std::memcpy(&checksum_offset, bytes + sizeof word, sizeof checksum_offset);
  const unsigned type = word >> 8 & 0xff & ~kGsoEcn;
  offload.known = true;
  offload.checksum_partial = (word & kNeedsChecksum) != 0;
  offload.checksum_start = static_cast<std::uint16_t>(word >> 48);
  offload.checksum_offset = checksum_offset;
  offload.segment_size = type == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(word >> 32);
  offload.udp_segments = type == kGsoUdpSegments || type == kGsoUdpFragments;
}

Result<void> attach(int descriptor, std::span<const BpfInstruction> program) {
  std::vector<sock_filter> instructions;
  instructions.reserve(program.size());
  for (const BpfInstruction& i : program)
    instructions.push_back({.code = i.code, .jt = i.jt, .jf = i.jf, .k = i.k});
  const sock_fprog filter{static_cast<unsigned short>(instructions.size()), instructions.data()};
  if (setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
    return failed("the kernel refuses the capture filter");
  return {};
}

}  // namespace

int bound_index(int descriptor) {
  sockaddr_ll address{};
  socklen_t size = sizeof address;
  const bool told = getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  return told ? address.sll_ifindex : -1;
}

Result<std::unique_ptr<Ring>> Ring::open(const RingConfig& config, net::UniqueFd& socket_fd) {
  std::unique_ptr<Ring> ring(new Ring(std::move(socket_fd), config));
  if (auto started = ring->start(config); !started) {
    socket_fd = ring->give_up_socket();
    return started.error();
  }
  return ring;
}

Result<void> Ring::start(const RingConfig& config) {
  constexpr BpfInstruction kNothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
  // A VLAN tag, which the kernel keeps beside the packet, goes back into it: there must be room.
  if (!set_option(descriptor(), PACKET_VERSION, int{TPACKET_V3}) ||
      !set_option(descriptor(), PACKET_RESERVE, unsigned{kVlanTag}))
    return failed("packet socket: TPACKET_V3");
  if (!set_option(descriptor(), PACKET_VNET_HDR, config.offloads ? 1 : 0))
    return failed("packet socket: PACKET_VNET_HDR");
  if (auto attached = attach(descriptor(), {&kNothing, 1}); !attached) return attached;
  if (auto allocated = allocate(config); !allocated) return allocated;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = config.interface_index;
  if (bind(descriptor(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed("packet socket: bind");
  // Only now, since a socket that is used again may have been bound to another interface before.
  return attach(descriptor(), config.filter);
}

Ring::Ring(net::UniqueFd socket, const RingConfig& config)
    : socket_(std::move(socket)), offloads_(config.offloads) {}

Ring::~Ring() { unmap(); }

Result<void> Ring::allocate(const RingConfig& config) {
  tpacket_req3 request{};
  request.tp_block_size = static_cast<unsigned>(config.block_bytes);
  request.tp_block_nr = config.blocks;
  // In version 3 frames have the size of their packet; the kernel checks the product all the same.
  request.tp_frame_size = request.tp_block_size;
  request.tp_frame_nr = config.blocks;
  request.tp_retire_blk_tov = config.block_timeout_ms;
  if (!set_option(descriptor(), PACKET_RX_RING, request)) return failed("packet ring");
  block_bytes_ = config.block_bytes;
  blocks_ = config.blocks;
  return map();
}

Result<void> Ring::map() {
  void* memory =
      mmap(nullptr, block_bytes_ * blocks_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor(), 0);
  if (memory == MAP_FAILED) return failed("packet ring");
  memory_ = static_cast<std::byte*>(memory);
  return {};
}

Result<void> Ring::wake() {
  pollfd filled{descriptor(), POLLIN, 0};
  return poll(&filled, 1, 0) > 0 ? map() : Result<void>();
}

void Ring::unmap() {
  if (memory_) munmap(memory_, block_bytes_ * blocks_);
  memory_ = nullptr;
}

bool Ring::is_filling() const {
  if (memory_ == nullptr) return false;
  std::byte* next = memory_ + (block_ + 1) % blocks_ * block_bytes_;
  return (status_of(next).load(std::memory_order_relaxed) & TP_STATUS_USER) != 0;
}

std::size_t Ring::read(PacketHandler& handler, std::size_t most) {
  std::size_t done = 0;
  while (memory_ && done < most) {
    std::byte* block = memory_ + block_ * block_bytes_;
    if (!packet_) {
      if ((status_of(block).load(std::memory_order_acquire) & TP_STATUS_USER) == 0) break;
      const auto& header = reinterpret_cast<const tpacket_block_desc*>(block)->hdr.bh1;
      left_ = header.num_pkts;
      packet_ = block + header.offset_to_first_pkt;
    }
    for (; left_ != 0 && done < most; --left_, ++done) {
      std::byte* packet = packet_;
      packet_ += reinterpret_cast<const tpacket3_hdr*>(packet)->tp_next_offset;
      prefetch(packet_);
      deliver(packet, handler);
    }
    if (left_ != 0) break;
    packet_ = nullptr;
    status_of(block).store(TP_STATUS_KERNEL, std::memory_order_release);
    block_ = (block_ + 1) % blocks_;
  }
  return done;
}

void Ring::deliver(std::byte* packet, PacketHandler& handler) {
  const auto& header = *reinterpret_cast<const tpacket3_hdr*>(packet);
  if (header.tp_snaplen < header.tp_len) [[unlikely]]
    note_cut(header);
  std::byte* bytes = packet + header.tp_mac;
  std::size_t captured = header.tp_snaplen;
  CapturedPacket captured_packet;
  captured_packet.length = header.tp_len;
  captured_packet.seconds = header.tp_sec;
  captured_packet.nanoseconds = header.tp_nsec;
  captured_packet.direction = read_direction(packet);
  if (offloads_) read_offload(bytes - kOffloadHeaderSize, captured_packet.offload);
  if ((header.tp_status & TP_STATUS_VLAN_VALID) != 0 && captured >= kMacs) {
    const std::uint32_t protocol =
        (header.tp_status & TP_STATUS_VLAN_TPID_VALID) ? header.hv1.tp_vlan_tpid : ETH_P_8021Q;
    const std::uint32_t tag = protocol << 16 | (header.hv1.tp_vlan_tci & 0xffff);
    std::memmove(bytes - kVlanTag, bytes, kMacs);
    bytes -= kVlanTag;
    const std::uint32_t wire = htonl(tag);
    std::memcpy(bytes + kMacs, &wire, sizeof wire);
    captured += kVlanTag;
    captured_packet.length += kVlanTag;
    captured_packet.offload.checksum_start =
        static_cast<std::uint16_t>(captured_packet.offload.checksum_start + kVlanTag);
  }
  captured_packet.bytes = {bytes, captured};
  captured_packet.writable = {bytes, captured};
  handler.on_packet(captured_packet);
}

Result<void> Ring::set_filter(std::span<const BpfInstruction> program) {
  return attach(descriptor(), program);
}

/// The filter, which says how much is wanted, has cut it, or the end of the block.
void Ring::note_cut(const tpacket3_hdr& header) {
  const std::size_t room = block_bytes_ - TPACKET_ALIGN(sizeof(tpacket_block_desc));
  if (header.tp_mac + header.tp_snaplen >= room)
    longest_cut_ = std::max(longest_cut_, header.tp_len);
}

Result<void> Ring::check() {
  int code = 0;
  socklen_t size = sizeof code;
  // Reading the error clears it: otherwise poll() would not wait any more.
  if (getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &code, &size) != 0 || code == 0) return {};
  if (bound_index() >= 0) return {};  // It is down, and the kernel resumes when it is up again.
  return Error{std::string("the interface has gone (") + std::strerror(code) + ")"};
}

int Ring::bound_index() const { return capture::bound_index(descriptor()); }

net::UniqueFd Ring::give_up_socket() {
  unmap();
  return std::move(socket_);
}

void Ring::add_counts(SourceCounts& counts) {
  tpacket_stats_v3 stats{};  // The kernel starts at zero again with each reading.
  socklen_t size = sizeof stats;
  if (getsockopt(descriptor(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0) return;
  counts.accepted += stats.tp_packets;
  counts.dropped += stats.tp_drops;
}

}  // namespace sidetap::capture
