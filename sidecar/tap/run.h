// The tap: wires capture, ownership, forwarding and sessions, and runs until it is told to stop.
#pragma once

#include "sidecar/options/options.h"

namespace sidetap {

/// Returns the exit code: 0 after SIGTERM or SIGINT, 1 when it cannot go on.
int run_tap(RunOptions options);

}  // namespace sidetap
