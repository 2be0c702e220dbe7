// Classic BPF programs as plain data, without system headers.
#pragma once

#include "shared/rpcap/messages.h"

namespace sidetap::capture {

/// The same type for the kernel's filter and for filters that a sensor sends.
using BpfInstruction = rpcap::BpfInstruction;

/// The kernel refuses longer programs (BPF_MAXINSNS).
inline constexpr unsigned kMaxBpfInstructions = 4096;
/// Instructions that a packet source may put in front of such a program; included in the limit.
inline constexpr unsigned kSourceBpfInstructions = 16;

}  // namespace sidetap::capture
