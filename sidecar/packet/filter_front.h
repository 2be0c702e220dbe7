// Puts the program of an operator's filter in front of the tap's own. Pure.
#pragma once

#include <vector>

#include "shared/result.h"
#include "sidecar/packet/bpf.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::capture {

/// Rewrites a program that is compiled for packets of this link layer as the kernel's filter sees
/// them: those of Linux cooked captures without their header, of which the kernel knows some fields
/// by itself. Error: the program reads another field.
Result<std::vector<BpfInstruction>> as_kernel_sees(std::vector<BpfInstruction> program,
                                                   LinkType link);

/// A program that runs `program` on what `front` accepts, and drops the rest. Every `ret` of
/// `front` has a constant; an empty `front` accepts everything. It is as long as both together.
std::vector<BpfInstruction> behind(std::vector<BpfInstruction> front,
                                   const std::vector<BpfInstruction>& program);

}  // namespace sidetap::capture
