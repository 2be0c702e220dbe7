// Sends packets to one reader as a capture stream over TCP, pcap or pcapng: "PCAP over IP", as
// Wireshark, Arkime and others read it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/capture_format.h"
#include "sidecar/forwarding/output.h"
#include "sidecar/forwarding/tap_identities.h"

namespace sidetap::forwarding {

struct CaptureStreamConfig {
  /// Of one interface. In pcapng, those of the taps that `identities` knows follow it.
  CaptureHeading heading{.interfaces = {InterfaceLabel{}}};
  std::shared_ptr<const TapIdentities> identities{};  ///< Null: all packets are of the heading's.
  /// For what the reader does not take, in memory that is used when it is needed. A few bytes of
  /// bookkeeping for each packet are not among them.
  std::size_t buffer_bytes = 4U << 20;
  /// A reader that takes nothing for so long, while something waits, is given up.
  std::chrono::milliseconds patience{30'000};
};

/// Why nothing more can be sent to a reader.
enum class ReaderFault : std::uint8_t {
  kLost,     ///< The connection broke.
  kStalled,  ///< It takes nothing.
};

/// Called once, on the packet path's thread.
using ReaderFaultHandler = std::function<void(ReaderFault fault, std::string reason)>;

/// `socket`: connected, non-blocking. The stream is whole: it starts with its header, which does
/// not wait for a packet, and continues with whole records. Packets for which the buffer has no
/// room are dropped (DropCause::kSocketFull).
std::unique_ptr<Output> make_pcap_over_ip_output(net::UniqueFd socket, CaptureStreamConfig config,
                                                 ReaderFaultHandler on_fault);

}  // namespace sidetap::forwarding
