// Commands that show what the webhook would do to pods in files, without a cluster.
#pragma once

#include <span>

namespace sidetap::offline {

/// `sidetap-webhook inject -f FILE|- ...`: prints every document, with pods and pod templates
/// injected. `arguments` are those after the command's name. A document that cannot be read is
/// printed unchanged and reported on standard error with its file, number, kind and name; the other
/// documents are processed. Returns the exit status: 0, 1 if the input or a document cannot be
/// read, 2 if the arguments or the configuration are wrong.
int inject_command(std::span<const char* const> arguments);

/// `sidetap-webhook explain -f FILE ...`: reports for every pod whether it would be injected, by
/// which rule, and what to change otherwise. Both commands treat a namespace as enabled if neither
/// the manifests nor the arguments give its labels.
int explain_command(std::span<const char* const> arguments);

}  // namespace sidetap::offline
