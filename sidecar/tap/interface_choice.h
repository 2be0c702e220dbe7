// Chooses the interfaces that a tap captures.
#pragma once

#include <string>
#include <vector>

#include "shared/net/interfaces.h"
#include "shared/result.h"
#include "sidecar/options/options.h"

namespace sidetap {

/// The interfaces from the options; otherwise those with the pod's addresses; if there are none,
/// the first that is not a loopback. Each device appears once, even if it has several names, which
/// the function looks up.
std::vector<std::string> choose_interfaces(const RunOptions& options,
                                           const std::vector<net::Interface>& interfaces);

/// Error: --output interface would write packets into an interface that is `captured`, or by which
/// the pod talks: the packets would come back, or go out into the pods' network.
Result<void> check_output_interface(const RunOptions& options,
                                    const std::vector<std::string>& captured,
                                    const std::vector<net::Interface>& interfaces);

/// Null if no interface has that name.
const net::Interface* find_interface(const std::vector<net::Interface>& interfaces,
                                     const std::string& name);

}  // namespace sidetap
