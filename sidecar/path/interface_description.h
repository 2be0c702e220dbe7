// An interface as a sensor is told of it.
#pragma once

#include <string>

#include "shared/rpcap/messages.h"

namespace sidetap {

/// Flags and addresses as they are now; without them where the system does not tell.
rpcap::Interface describe_interface(std::string name, std::string description);

}  // namespace sidetap
