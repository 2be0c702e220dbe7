// The files of identities, for sensors that read files: identities.jsonl (Arkime, Suricata) and
// identities.tsv (Zeek).
#pragma once

#include <string>
#include <vector>

#include "shared/result.h"
#include "webhook/identity/ledger.h"

namespace sidetap::webhook::registry {

inline constexpr const char* kIdentityLines = "identities.jsonl";
inline constexpr const char* kIdentityTable = "identities.tsv";

/// Replaces a file of an existing folder in one step, so that a reader sees the old text or the
/// new one, as a whole. The text is first in ".NAME.new" beside it, which one process at a time may
/// write. The file has mode 0644. Blocks; any thread. The Error names the file.
Result<void> replace_file(const std::string& folder, const std::string& name,
                          const std::string& text);

/// Replaces both files by what these tenures say; pass those of Ledger::newest_tenures().
Result<void> write_identity_files(const std::string& folder,
                                  const std::vector<identity::Tenure>& tenures);

}  // namespace sidetap::webhook::registry
