// `sidetap-webhook certs`: one look at the self-managed certificates, as the running webhook does
// it.
#pragma once

#include <span>

namespace sidetap::certificates {

/// Makes or renews what is due, puts the caBundle right, and prints what stands. `arguments` are
/// those behind the command's name. Exit code: 0, 1 when it cannot (it says why), 2 wrong use.
int command(std::span<const char* const> arguments);

}  // namespace sidetap::certificates
