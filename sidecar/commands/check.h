// Asks a running tap whether it is ready: a probe that needs no shell and no curl in the image.
#pragma once

#include <span>

namespace sidetap {

/// `sidetap-sidecar check [--status HOST:PORT]`: exit code 0 ready, 1 not, 2 wrong use.
int check_command(std::span<const char* const> arguments);

}  // namespace sidetap
