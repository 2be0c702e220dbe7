// Which packets of a capture of the loopback interface are legs of a mesh, for `explain --mesh`.
#pragma once

#include <string>
#include <vector>

#include "shared/result.h"
#include "sidecar/commands/explain.h"

namespace sidetap {

/// For each packet of the file in order, as far as it can be read, whether it is a leg. Reads the
/// whole file, because that a connection is a probe shows behind its first packets. The file does
/// not tell who opened a connection: where addresses do not either, the proxy counts as its client.
/// Error: the file cannot be opened.
Result<std::vector<bool>> find_legs(const ExplainOptions& options);

/// What find_legs() takes for granted: a sentence each.
std::vector<std::string> leg_assumptions(const ExplainOptions& options);

}  // namespace sidetap
