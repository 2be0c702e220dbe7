// The tap: connects capture, ownership, forwarding and sessions, and runs until it is told to stop.
#pragma once

#include "sidecar/options/live_options.h"
#include "sidecar/options/options.h"

namespace sidetap {

/// `options` are those of `line`, checked. Returns the exit code: 0 after SIGTERM or SIGINT, 1 if
/// the tap cannot continue.
int run_tap(RunOptions options, CommandLine line);

}  // namespace sidetap
