// Receives the packets of many taps: datagrams on a few ports that all share, and streams.
//
// A datagram belongs to the tap from whose address and port it comes. A tap does not say its port
// in its control session, so a sender that is not known yet becomes the tap that is awaited from
// its address. Where several are awaited from one address at a time (a pod's two interfaces, a
// node's taps, or one that has died unnoticed), each is told another of our ports. If there are
// more than ports, they may be mistaken for one another, but no packet counts twice, and none
// counts for another address. A tap that is gone and goes on sending takes nobody's place
// (former_senders.h). Nothing in a datagram proves its sender: where others can forge addresses,
// take streams with TLS.
//
// Memory is bounded, whatever taps send: each may hold kAssured bytes of a packet that is not
// complete, and what all hold beyond that has one limit. At the limit the tap that asks for more
// loses its packet, or its stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "shared/net/datagram_batch.h"
#include "shared/net/ip_address.h"
#include "shared/net/socket_address.h"
#include "shared/net/unique_fd.h"
#include "sidecar/collector/former_senders.h"
#include "sidecar/collector/tap_feed.h"

struct ssl_st;

namespace sidetap::collector {

struct ReceiverConfig {
  std::uint32_t most_packet = 262'144;  ///< Bytes; what taps are asked for at most.
  std::size_t memory = 64U << 20;       ///< Bytes for incomplete packets, beyond kAssured a tap.
};

/// All taps, and what belongs to none.
struct ReceiverCounts : TapCounts {
  std::uint64_t strange_datagrams = 0;  ///< Of senders that are no taps, or are no more.
  std::size_t taps = 0;                 ///< Now.
  std::size_t held = 0;                 ///< Bytes of incomplete packets, beyond kAssured a tap.
};

/// What one tap has sent.
struct ReceivedFromTap {
  TapCounts counts{};
  bool stream_open = false;
};

/// One thread.
class TapReceiver {
 public:
  /// Called when a stream has ended by itself, with one sentence. It stays counted until remove().
  using StreamEnded = std::function<void(std::string)>;

  static constexpr std::size_t kAssured = 4096;

  /// `ports` are those of open_datagram_port() (datagram_port.h). Throws if the system has no
  /// descriptor left.
  TapReceiver(ReceiverConfig config, std::vector<net::UniqueFd> ports);
  ~TapReceiver();
  TapReceiver(const TapReceiver&) = delete;
  TapReceiver& operator=(const TapReceiver&) = delete;

  /// A tap with a number that is not in use sends datagrams from this address from now on. Returns
  /// to which of the ports it must send them.
  std::size_t expect(std::uint32_t origin, const net::IpAddress& from);
  /// It sends a stream. `socket` is connected and does not block; `tls` is bound to it, after its
  /// handshake, or null.
  void add_stream(std::uint32_t origin, net::UniqueFd socket, std::shared_ptr<ssl_st> tls,
                  StreamEnded ended);
  /// Takes nothing more of this tap, and closes its stream. Its counts stay in the totals.
  TapCounts remove(std::uint32_t origin);

  /// Hands over about `most` packets of what has arrived, and returns their number.
  std::size_t read(capture::PacketHandler& handler, std::size_t most);
  /// Readable while there is something to read, even if no socket is: OpenSSL may hold the rest of
  /// a stream.
  int descriptor() const { return epoll_.get(); }
  /// A program of tap::compile_filter(), for packets that are read from now on.
  void set_filter(std::vector<capture::BpfInstruction> program);

  ReceivedFromTap received_from(std::uint32_t origin) const;
  ReceiverCounts counts() const;
  std::uint64_t delivered() const { return sink_.delivered; }
  std::uint64_t missing() const { return sink_.missing; }

 private:
  struct Tap;

  Tap& add(std::uint32_t origin);
  Tap* tap_of(const net::SocketAddress& sender, std::size_t port, std::span<const std::byte> bytes);
  Tap* claim(const net::SocketAddress& sender, std::size_t port, std::span<const std::byte> bytes);
  void read_port(std::size_t port);
  void read_stream(Tap& tap);
  /// Bytes; 0: nothing now, or the stream has ended.
  std::size_t receive(Tap& tap, std::span<std::byte> into);
  void go_on_later(Tap& tap);
  void go_on_with_streams(std::uint64_t until);
  void tell_unfinished(bool any);
  void end_stream(Tap& tap, const std::string& why);
  void account(Tap& tap);

  ReceiverConfig config_;
  std::vector<net::UniqueFd> ports_;
  net::UniqueFd epoll_;
  FeedSink sink_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Tap>> taps_;
  std::unordered_map<net::SocketAddress, Tap*> senders_;
  // By the tap's address and the number of our port; who has waited longest comes first.
  std::unordered_map<net::SocketAddress, std::vector<std::uint32_t>> expected_;
  FormerSenders former_;            // late datagrams of a tap must not become those of the next one
  net::SocketAddress last_sender_;  // most datagrams come from the sender of the one before
  Tap* last_tap_ = nullptr;
  std::vector<std::uint32_t> unfinished_;  // streams whose socket need not be readable to go on
  net::UniqueFd unfinished_left_;          // readable between two read() while there are such
  net::DatagramBatch batch_;
  std::vector<std::byte> stream_;  // what is read of one stream at a time
  std::size_t beyond_ = 0;         // bytes that taps hold beyond kAssured
  TapCounts ended_;                // of taps that are no more
  std::uint64_t strange_ = 0;
};

}  // namespace sidetap::collector
