// Classic BPF programs, as plain data that needs no system header.
#pragma once

#include "shared/rpcap/messages.h"

namespace sidetap::capture {

/// One shape for the kernel's filter and for what a sensor sends.
using BpfInstruction = rpcap::BpfInstruction;

/// The kernel refuses longer programs (BPF_MAXINSNS).
inline constexpr unsigned kMaxBpfInstructions = 4096;
/// Of these, what a packet source may put before a program that is built for it.
inline constexpr unsigned kSourceBpfInstructions = 16;

}  // namespace sidetap::capture
