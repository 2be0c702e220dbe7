// Asks a running tap whether it is ready: a probe that needs neither a shell nor curl in the image.
#pragma once

#include <span>

namespace sidetap {

/// `sidetap-sidecar check [--status HOST:PORT]`: exit code 0 if ready, 1 if not, 2 for wrong
/// arguments.
int check_command(std::span<const char* const> arguments);

}  // namespace sidetap
