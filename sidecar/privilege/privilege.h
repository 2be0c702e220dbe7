// Drops a tap's privileges once it has opened what it needs, so that an attacker who takes it over
// gets no further.
#pragma once

#include "shared/result.h"

namespace sidetap::privilege {

/// Drops every capability of the calling thread, which also applies to threads that it starts
/// later, and sets no_new_privs. Also clears the bounding set if the thread may (CAP_SETPCAP).
/// Existing threads keep their capabilities: call it before they start.
Result<void> drop_capabilities();

/// Makes every system call that a running tap does not need fail with EPERM, permanently and in all
/// threads. Files can be opened only for reading unless `may_write_files`. Changes in folders can
/// be watched only if `may_watch_files`. Needs no capability.
Result<void> enter_sandbox(bool may_write_files, bool may_watch_files = false);

}  // namespace sidetap::privilege
