// One packet socket, and the memory that the kernel fills with its packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "shared/net/unique_fd.h"
#include "shared/result.h"
#include "sidecar/capture/packet_source.h"

struct tpacket3_hdr;

namespace sidetap::capture {

/// Bytes of a block for the kernel's headers and the link layer. The rest has room for packets.
inline constexpr std::size_t kBlockOverhead = 512;

/// The interface that a packet socket is bound to; 0: every one; -1: that interface is no more, and
/// the socket will never get a packet again (packet(7) does not tell).
int bound_index(int descriptor);

struct RingConfig {
  int interface_index = 0;
  std::size_t block_bytes = 128U << 10;  ///< A power of two, a multiple of the page size.
  unsigned blocks = 16;  ///< 0: no memory, and nothing is captured, until allocate().
  unsigned block_timeout_ms = 5;
  bool offloads = true;  ///< Each packet comes with its Offload.
  std::span<const BpfInstruction> filter;
};

/// One thread.
class Ring {
 public:
  /// Takes `socket_fd`, which is as SpareSockets::take() gives it; on an error it is the caller's
  /// still.
  static Result<std::unique_ptr<Ring>> open(const RingConfig& config, net::UniqueFd& socket_fd);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// Hands over up to `most` packets of the blocks that the kernel has released.
  std::size_t read(PacketHandler& handler, std::size_t most);
  /// The kernel has written something that is not read yet, if only into a block that it has not
  /// released.
  bool has_any() const;
  /// Half of the blocks have been filled by the kernel and are not read yet.
  bool is_half_full() const;
  /// What the kernel has written into the blocks that were read up to now, its own headers
  /// included.
  std::uint64_t bytes_read() const { return bytes_read_; }
  Result<void> set_filter(std::span<const BpfInstruction> program);
  /// Error: the interface has gone. Takes note that it went down, which it may come back from.
  Result<void> check();
  /// Adds what was counted since the last call.
  void add_counts(SourceCounts& counts);
  int descriptor() const { return socket_.get(); }
  /// The interface that it is bound to; -1: that interface is no more.
  int bound_index() const;
  /// Bytes of the longest packet that a block had no room for, so that its end is missing; 0: none.
  std::uint32_t longest_cut() const { return longest_cut_; }
  /// Ends the ring: what is left of it is its socket, for somebody else to use. None where it can
  /// be bound to nothing else.
  net::UniqueFd give_up_socket();

  /// Gives a ring without memory its blocks. On any thread, while no other uses this ring.
  Result<void> allocate(std::size_t block_bytes, unsigned blocks);
  /// Gives the memory back. What was not read is gone.
  void release();

  /// Of the rings of a group the kernel offers each packet to one, the first until direct_to().
  /// For rings of one interface, before packets count: joining interrupts the capture. When the
  /// interface comes up, the kernel lets them join anew by the age of their sockets, so the
  /// founder's is the older one.
  Result<void> found_group();
  Result<void> join_group(const Ring& founder);
  /// From the next packet on the member of that number, by the order of joining, gets all. Waits
  /// for a grace period of the kernel's, which takes long where its CPUs are busy. On any thread.
  Result<void> direct_group_to(unsigned member) const;

 private:
  Ring(net::UniqueFd socket, const RingConfig& config);
  Result<void> start(const RingConfig& config);
  void unmap();
  void note_cut(const tpacket3_hdr& header);
  void deliver(std::byte* packet, PacketHandler& handler);

  net::UniqueFd socket_;
  std::size_t block_bytes_ = 0;
  unsigned block_timeout_ms_;
  unsigned blocks_ = 0;
  bool offloads_;
  std::byte* memory_ = nullptr;
  unsigned block_ = 0;           // the next to be read, or being read
  std::byte* packet_ = nullptr;  // the next of the block being read
  std::uint32_t left_ = 0;       // packets of it that are not handed over
  std::uint64_t bytes_read_ = 0;
  std::uint32_t longest_cut_ = 0;
  bool in_group_ = false;
};

}  // namespace sidetap::capture
