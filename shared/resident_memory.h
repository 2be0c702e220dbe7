// Frees memory that a long-running program no longer needs. It matters because a tap runs in every
// pod.
#pragma once

namespace sidetap {

/// Returns to the kernel what only start-up needed: the heap's free memory, and pages of code and
/// constants of the program and its libraries. The kernel reads such a page again if it is used
/// later.
void release_startup_memory();

}  // namespace sidetap
