// `sidetap-webhook certs`: one pass over the self-managed certificates, as the running webhook
// makes it.
#pragma once

#include <span>

namespace sidetap::certificates {

/// Creates or renews what is due, corrects the caBundle, and prints the state. `arguments` are
/// those after the command's name. Exit code: 0 on success, 1 on failure (with the reason on
/// standard error), 2 for wrong arguments.
int command(std::span<const char* const> arguments);

}  // namespace sidetap::certificates
