// How the kernel's scheduler treats the tap.
#pragma once

namespace sidetap {

/// Asks for short time slices (sched_setattr(2); Linux 6.12 and newer, needs no right). A task that
/// takes a CPU for less at once gets one sooner: the capture ring has room for milliseconds only.
/// Older kernels take no notice. Threads inherit it.
void ask_for_short_slices();

}  // namespace sidetap
