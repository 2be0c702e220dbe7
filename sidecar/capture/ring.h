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
  unsigned blocks = 16;
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
  /// Whether the kernel is ahead of the reader: it has filled the block after the current one.
  bool is_filling() const;
  /// Unmaps the memory from this process; the kernel still fills it. For times without packets.
  /// Call it only between blocks: see is_between_blocks().
  void doze() { unmap(); }
  bool is_dozing() const { return memory_ == nullptr; }
  bool is_between_blocks() const { return packet_ == nullptr; }
  /// Maps the memory again if the kernel has filled a block. Error: it cannot be mapped.
  Result<void> wake();
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
  /// Ends the ring: what is left of it is its socket, for somebody else to use.
  net::UniqueFd give_up_socket();

 private:
  Ring(net::UniqueFd socket, const RingConfig& config);
  Result<void> start(const RingConfig& config);
  Result<void> allocate(const RingConfig& config);
  Result<void> map();
  void unmap();
  void note_cut(const tpacket3_hdr& header);
  void deliver(std::byte* packet, PacketHandler& handler);

  net::UniqueFd socket_;
  std::size_t block_bytes_ = 0;
  unsigned blocks_ = 0;
  bool offloads_;
  std::byte* memory_ = nullptr;
  unsigned block_ = 0;           // the next to be read, or being read
  std::byte* packet_ = nullptr;  // the next of the block being read
  std::uint32_t left_ = 0;       // packets of it that are not handed over
  std::uint32_t longest_cut_ = 0;
};

}  // namespace sidetap::capture
