// `sidetap-webhook selftest`: creates a pod through the API server as a dry run, and checks that it
// has a tap.
#pragma once

#include <span>

namespace sidetap::selftest {

/// `arguments` are those after the command's name. Runs in a pod whose service account may create
/// pods. Exit code: 0 if injected, 1 if not (with the reason), 2 for wrong arguments.
int command(std::span<const char* const> arguments);

}  // namespace sidetap::selftest
