// Which interfaces a tap captures.
#pragma once

#include <string>
#include <vector>

#include "shared/net/interfaces.h"
#include "sidecar/options/options.h"

namespace sidetap {

/// Those that are asked for; otherwise those that hold the pod's addresses, and where none does the
/// first that is no loopback. Each device once, whatever its names: looks them up.
std::vector<std::string> choose_interfaces(const RunOptions& options,
                                           const std::vector<net::Interface>& interfaces);

/// Null: there is none of that name.
const net::Interface* find_interface(const std::vector<net::Interface>& interfaces,
                                     const std::string& name);

}  // namespace sidetap
