// `sidetap-webhook selftest`: makes a pod by a dry run through the API server and looks for the
// tap.
#pragma once

#include <span>

namespace sidetap::selftest {

/// `arguments` are those behind the command's name. Runs in a pod whose service account may create
/// pods. Exit code: 0 injected, 1 not (it says why), 2 wrong use.
int command(std::span<const char* const> arguments);

}  // namespace sidetap::selftest
