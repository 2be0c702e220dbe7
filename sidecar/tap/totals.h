// Sums of what became of the packets of one interface, for metrics and reports alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/registry/messages.h"
#include "sidecar/forwarding/output.h"
#include "sidecar/path/packet_loop.h"
#include "sidecar/path/pipeline.h"

namespace sidetap {

/// Causes by which owned packets reach no sensor: those of the tap itself, then those of outputs.
inline constexpr std::size_t kLossCauseCount = 3 + forwarding::kDropCauseCount;
/// "kernel-ring" and the like, the label `cause` of sidetap_packets_dropped_total; a static string.
std::string_view loss_cause_name(std::size_t cause);
/// Packets lost by that cause. The kernel's ring loses packets before ownership is known.
std::uint64_t packets_lost(std::size_t cause, const LoopCounts& counts, const Ledger& ledger);

/// Adds one interface's totals to those of others.
void add_totals(const LoopCounts& counts, const Ledger& ledger, registry::Report& into);

}  // namespace sidetap
