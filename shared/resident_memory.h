// Memory that a long-running program holds for nothing. A tap runs in every pod: there it counts as
// often.
#pragma once

namespace sidetap {

/// Gives back what only the start needed: pages of code and constants of the program and its
/// libraries, which the kernel reads again where they are used after all, and free heap.
void release_startup_memory();

}  // namespace sidetap
