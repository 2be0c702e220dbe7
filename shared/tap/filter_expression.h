// Filter expressions of an operator, in the language of tcpdump (pcap-filter(7)).
//
// An expression becomes a part of the capture socket's filter, so it sees what the kernel's filter
// sees: packets as offloads have left them, so that `len` can be more than the MTU, and without the
// outer VLAN tag, which the kernel has moved out of the packet's bytes. Therefore `vlan` is
// refused: it would find no tag. Other primitives see what the tag was in front of.
//
// Names are refused too: of hosts, networks, ports and protocols. To look one up takes time and a
// file or a server that a tap does not have, and two taps could find different numbers. So are
// words that depend on the interface (inbound, outbound, ifindex): the tap decides on directions
// itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shared/result.h"
#include "shared/rpcap/messages.h"

namespace sidetap::tap {

inline constexpr std::size_t kMostFilterText = 4096;  ///< Bytes.
/// A quarter of what the kernel accepts; the rest is for the tap's own filter.
inline constexpr std::size_t kMostFilterInstructions = 1024;

inline constexpr std::uint16_t kEthernetLink = 1;  ///< As a LINKTYPE_ number.

/// Compiles an expression for packets of a link layer, given by its LINKTYPE_ number
/// (https://www.tcpdump.org/linktypes.html). The program returns 0 for a packet that it does not
/// accept. All jumps go forward, and every `ret` has a constant. Empty for a blank text. Waits for
/// nothing. Error: why it does not compile, in libpcap's words where they are its own.
Result<std::vector<rpcap::BpfInstruction>> compile_filter(std::string_view text,
                                                          std::uint16_t link_type = kEthernetLink);

/// Runs a program of compile_filter() on a packet. `length`: of the packet on the wire, in bytes.
bool filter_accepts(std::span<const rpcap::BpfInstruction> program,
                    std::span<const std::byte> bytes, std::uint32_t length);

}  // namespace sidetap::tap
