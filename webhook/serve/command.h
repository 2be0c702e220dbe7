// `sidetap-webhook serve`.
#pragma once

#include <span>

namespace sidetap::webhook {

/// Serves until a signal ends it. `arguments` are those behind the command's name. Exit code: that
/// of serve(), 2 when the arguments are wrong.
int command(std::span<const char* const> arguments);

}  // namespace sidetap::webhook
