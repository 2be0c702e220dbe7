// Describes an interface to a sensor.
#pragma once

#include <string>

#include "shared/rpcap/messages.h"

namespace sidetap {

/// Includes the current flags and addresses, if the system provides them.
rpcap::Interface describe_interface(std::string name, std::string description);

}  // namespace sidetap
