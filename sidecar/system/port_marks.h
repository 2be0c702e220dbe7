// Marks the ports of a tap so that every other tap of the pod can read them from the kernel.
//
// Two taps of one pod do not know each other: they may belong to different installations with
// different sensors. Each would capture and forward what the other sends, and be captured in turn.
// They share the network namespace, whose packet sockets the kernel lists in /proc/net/packet. So a
// tap holds idle packet sockets on the loopback interface, which receive nothing, and stores the
// local ports of its connections in the protocol field of these sockets.
//
// Only a process with NET_RAW can create such a socket. It could hide packets from captures anyway
// (packet(7), PACKET_QDISC_BYPASS), so the marks give nobody a new way to hide packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shared/net/unique_fd.h"
#include "shared/result.h"

namespace sidetap {

/// One line of /proc/net/packet.
struct PacketSocket {
  unsigned type = 0;           ///< SOCK_RAW or SOCK_DGRAM.
  std::uint16_t protocol = 0;  ///< Of the link layer; here it may be a port.
  unsigned interface = 0;      ///< Index; 0: all.
  std::uint64_t inode = 0;
  friend bool operator==(const PacketSocket&, const PacketSocket&) = default;
};

/// Skips unreadable lines, including the heading.
std::vector<PacketSocket> parse_packet_sockets(std::string_view text);

/// One thread.
class PortMarks {
 public:
  struct Others {
    bool present = false;              ///< Another tap holds marks.
    std::vector<std::uint16_t> ports;  ///< Ascending, each once.
    friend bool operator==(const Others&, const Others&) = default;
  };

  /// Opens `sockets` sockets, or fewer if the system allows no more; none without NET_RAW.
  explicit PortMarks(std::size_t sockets);

  /// Sets the ports of `owner`, replacing its previous ones. Returns false if there are more ports
  /// than sockets, so that some are not marked.
  bool set(const std::string& owner, std::vector<std::uint16_t> ports);
  /// The marks of other processes. Error: the kernel's list cannot be read.
  Result<Others> others() const;
  std::size_t size() const { return sockets_.size(); }

 private:
  struct Mark {
    net::UniqueFd socket;
    std::uint64_t inode = 0;
    std::uint16_t port = 0;  ///< 0: free.
  };
  bool show(Mark& mark, std::uint16_t port) const;

  unsigned loopback_ = 0;  // index
  std::vector<Mark> sockets_;
  std::map<std::string, std::vector<std::uint16_t>> used_;
};

}  // namespace sidetap
