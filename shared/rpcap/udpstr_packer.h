// Packs packets into udpstr datagrams (RPCAP message type 110, from ExtraHop's public rpcapd). One
// buffer holds many datagrams, so that few system calls send them.
//
// A datagram begins with version u8, type u8 = 110, offset u16 of the first packet header from the
// datagram's start (0xFFFF: none begins here), and seqno u32, counted from 0. All are big-endian. A
// stream of packet headers and packets follows, which continues from datagram to datagram. A packet
// header is never split: if fewer than 28 bytes are left, the datagram ends early.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "shared/net/datagram_runs.h"
#include "shared/rpcap/codec.h"
#include "shared/rpcap/messages.h"

namespace sidetap::rpcap {

inline constexpr std::size_t kUdpstrHeaderSize = 8;
/// Shorter datagrams would hold hardly any packet data.
inline constexpr std::size_t kMinUdpstrDatagram = 64;
inline constexpr std::uint16_t kNoPacketHeader = 0xffff;

class UdpstrPacker {
 public:
  /// `datagram_size`: UDP payload bytes, kMinUdpstrDatagram to 65507. `batch`: bytes to pack before
  /// add() calls `flush()`, at least one datagram. `capacity`: bytes of the buffer, at least a
  /// batch. Memory beyond the batch is not touched before flush() leaves something.
  UdpstrPacker(std::size_t datagram_size, std::size_t batch, std::size_t capacity = 0);

  /// Appends one packet in two parts, either of which may be empty. When no datagram fits the batch
  /// any more, calls `flush()`, which must send runs() and then call clear(), or discard() as many
  /// as it could send. If it leaves some, has_room() must be true.
  template <class Flush>
  void add(const PacketHeader& header, std::span<const std::byte> head,
           std::span<const std::byte> body, Flush&& flush) {
    if (room() < kPacketHeaderSize + kUdpstrHeaderSize) next_datagram(flush);
    begin_packet(header);
    append(head, flush);
    append(body, flush);
    end_packet();
  }

  /// Ends the open datagram, if any, however short it is.
  void finish();
  /// Complete runs. After finish(), everything that was added.
  std::span<const net::DatagramRun> runs() const { return runs_.all(); }
  /// The buffer that the runs' offsets refer to.
  const std::byte* data() const { return buffer_.get(); }
  /// Discards what runs() describes. Call finish() first.
  void clear();
  /// Discards the first `runs` of runs(). Call it where clear() may be called.
  void discard(std::size_t runs) { used_ = runs_.discard(runs, buffer_.get()); }
  /// Whether one more datagram fits the buffer.
  bool has_room() const { return capacity_ - used_ >= datagram_size_; }
  /// Whether a packet of `captured` bytes fits the buffer for sure, even if nothing is discarded.
  bool has_room_for(std::size_t captured) const;

  /// Packs the datagrams again from number `datagram` of run number `run` on, into datagrams of
  /// `bytes`, and discards those before. The sequence numbers continue after those before. Use it
  /// for datagrams that the path refused, which nobody has received. Call it in add()'s `flush()`
  /// (in the middle of a packet) or after finish() (between packets); the packer is in the same
  /// state afterwards. `flush()` is as in add(). Returns the number of packets that end in the
  /// repacked datagrams.
  template <class Flush>
  std::uint32_t repack(std::size_t run, std::size_t datagram, std::size_t bytes, Flush&& flush) {
    const Unsent unsent = take_back(run, datagram);
    set_datagram_size(bytes);
    std::uint32_t packets = 0;
    std::span<const std::byte> stream(unsent.stream);
    // The rest of a packet that began before.
    in_packet_ = unsent.tail != 0;
    append(stream.first(unsent.tail), flush);
    stream = stream.subspan(unsent.tail);
    if (in_packet_ && !(unsent.goes_on && stream.empty())) {
      end_packet();
      ++packets;
    }
    while (!stream.empty()) {
      const PacketHeader header = decode_packet_header(stream.first<kPacketHeaderSize>());
      stream = stream.subspan(kPacketHeaderSize);
      const std::size_t size = std::min<std::size_t>(header.captured, stream.size());
      if (room() < kPacketHeaderSize + kUdpstrHeaderSize) next_datagram(flush);
      begin_packet(header);
      append(stream.first(size), flush);
      stream = stream.subspan(size);
      if (stream.empty() && unsent.goes_on) break;
      end_packet();
      ++packets;
    }
    finish();
    return packets;
  }

  bool empty() const { return used_ == 0; }
  std::size_t datagram_size() const { return datagram_size_; }
  /// Applies from the next datagram on.
  void set_datagram_size(std::size_t bytes);
  std::uint32_t next_seqno() const { return seqno_; }

 private:
  /// Packed but never sent: the stream without the datagrams' headers.
  struct Unsent {
    std::vector<std::byte> stream;
    std::size_t tail = 0;  ///< Bytes before the first packet header.
    bool goes_on = false;  ///< The last packet is not complete yet.
  };
  Unsent take_back(std::size_t run, std::size_t datagram);

  /// Bytes left in the open datagram; 0 if there is none.
  std::size_t room() const { return open_ ? limit_ - used_ : 0; }
  template <class Flush>
  void next_datagram(Flush&& flush) {
    finish();
    if (used_ + datagram_size_ > batch_) flush();
    open_datagram();
  }
  template <class Flush>
  void append(std::span<const std::byte> bytes, Flush&& flush) {
    for (;;) {
      bytes = bytes.subspan(copy(bytes));
      if (bytes.empty()) return;
      next_datagram(flush);
    }
  }
  void open_datagram();
  void begin_packet(const PacketHeader& header) {
    if (!has_packet_header_) note_first_header();
    encode_packet_header(
        header, std::span<std::byte, kPacketHeaderSize>(buffer_.get() + used_, kPacketHeaderSize));
    used_ += kPacketHeaderSize;
    in_packet_ = true;
  }
  void note_first_header();
  std::size_t copy(std::span<const std::byte> bytes) {
    const std::size_t size = std::min(bytes.size(), room());
    if (size != 0) std::memcpy(buffer_.get() + used_, bytes.data(), size);
    used_ += size;
    return size;
  }
  void end_packet() {
    ++ended_;
    in_packet_ = false;
  }

  std::size_t batch_;
  std::size_t capacity_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t datagram_size_;
  std::size_t used_ = 0;
  std::size_t start_ = 0;  // of the open datagram
  std::size_t limit_ = 0;  // where it must end
  bool open_ = false;
  bool has_packet_header_ = false;
  bool in_packet_ = false;
  std::uint32_t ended_ = 0;  // packets that ended in the open datagram
  std::uint32_t seqno_ = 0;
  net::DatagramRuns runs_;
};

}  // namespace sidetap::rpcap
