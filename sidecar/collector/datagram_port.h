// A UDP port that many taps send to.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shared/net/host_port.h"
#include "shared/net/unique_fd.h"
#include "shared/result.h"

namespace sidetap::collector {

/// Binds a port for datagrams. An empty host means every address of both families. Nobody else may
/// bind it: a collector that still ends would lose datagrams to the next one. Asks for `buffer`
/// bytes for what is not read yet.
Result<net::UniqueFd> open_datagram_port(const net::HostPort& where, std::uint32_t buffer);
/// Bytes that the kernel holds for the port, its own overhead included. The system may have granted
/// less than was asked for.
std::size_t buffer_size(int port);

}  // namespace sidetap::collector
