// Tunes the kernel's scheduling of the tap.
#pragma once

namespace sidetap {

/// Requests short time slices (sched_setattr(2); Linux 6.12 or newer; needs no privilege). A task
/// with shorter slices gets a CPU sooner, and the capture ring has room for only a few
/// milliseconds. Older kernels ignore the request. Threads inherit it.
void ask_for_short_slices();

}  // namespace sidetap
