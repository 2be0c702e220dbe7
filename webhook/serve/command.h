// `sidetap-webhook serve`.
#pragma once

#include <span>

namespace sidetap::webhook {

/// Serves until a signal. `arguments` are those after the command's name. Exit code: that of
/// serve(), or 2 if the arguments are wrong.
int command(std::span<const char* const> arguments);

}  // namespace sidetap::webhook
