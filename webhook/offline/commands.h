// What the webhook would do to pods in files, without a cluster.
#pragma once

#include <span>

namespace sidetap::offline {

/// `sidetap-webhook inject -f FILE|- ...`: prints every document, pods and pod templates injected.
/// `arguments` are those behind the command's name. A document that cannot be read is left as it
/// stands and named on standard error with its file, number, kind and name; the rest goes on.
/// Returns the exit status: 0, 1 when the input or a document cannot be read, 2 when the arguments
/// or the configuration are wrong.
int inject_command(std::span<const char* const> arguments);

/// `sidetap-webhook explain -f FILE ...`: says of every pod whether it would be injected, by which
/// rule, and what else to set. A namespace whose labels neither the manifests nor the arguments say
/// counts as enabled, here as there.
int explain_command(std::span<const char* const> arguments);

}  // namespace sidetap::offline
