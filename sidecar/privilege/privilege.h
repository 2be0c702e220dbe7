// What a tap gives up once it has opened what it needs: nothing that takes it over gets further.
#pragma once

#include "shared/result.h"

namespace sidetap::privilege {

/// Takes every capability from the calling thread, from threads that it starts later and, where the
/// thread may (CAP_SETPCAP), from the bounding set; sets no_new_privs. Threads that exist keep
/// theirs: call it before they start.
Result<void> drop_capabilities();

/// Refuses (EPERM) all threads every system call that a running tap does not make, for good. Files
/// are opened for reading only unless `may_write_files`. Works without any capability.
Result<void> enter_sandbox(bool may_write_files);

}  // namespace sidetap::privilege
