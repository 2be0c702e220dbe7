#include "sidecar/tap/totals.h"

#include <string>

#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/ownership/rules.h"

namespace sidetap {
namespace {

/// The tap's own causes, in this order.
enum OwnCause : std::size_t { kKernelRing, kNoSession, kRateLimit, kOwnCauses };
static_assert(kOwnCauses + forwarding::kDropCauseCount == kLossCauseCount);

void add_mesh(mesh::Kind kind, std::uint64_t read, const Ledger& ledger, registry::Report& into) {
  using ownership::Rule;
  if (!into.mesh) into.mesh.emplace();
  into.mesh->kind = mesh::kind_name(kind);
  into.mesh->read += read;
  into.mesh->legs += ledger.owned[static_cast<std::size_t>(Rule::kMeshLeg)].value();
  into.mesh->covered += ledger.not_owned[static_cast<std::size_t>(Rule::kMeshCovered)].value();
}

}  // namespace

std::string_view loss_cause_name(std::size_t cause) {
  switch (cause) {
    case kKernelRing:
      return "kernel-ring";
    case kNoSession:
      return "no-session";
    case kRateLimit:
      return "rate-limit";
    default:
      return forwarding::drop_cause_name(static_cast<forwarding::DropCause>(cause - kOwnCauses));
  }
}

std::uint64_t packets_lost(std::size_t cause, const LoopCounts& counts, const Ledger& ledger) {
  switch (cause) {
    case kKernelRing:
      return counts.source.dropped;
    case kNoSession:
      return ledger.no_session.value();
    case kRateLimit:
      return ledger.rate_limited.value();
    default:
      return counts.dropped[cause - kOwnCauses];
  }
}

void add_totals(const LoopCounts& counts, const Ledger& ledger, registry::Report& into) {
  registry::ReportedCounts& totals = into.counts;
  totals.seen += counts.source.accepted;
  totals.seen_bytes += ledger.read_bytes.value();
  totals.owned += ledger.owned_total();
  totals.owned_bytes += ledger.owned_bytes.value();
  totals.forwarded += counts.forwarded;
  totals.forwarded_bytes += counts.bytes;
  totals.filtered +=
      counts.filtered + counts.sampled + ledger.sampled_flows.value() + ledger.paused.value();
  if (counts.mesh) add_mesh(*counts.mesh, counts.loopback, ledger, into);
  for (std::size_t cause = 0; cause < kLossCauseCount; ++cause)
    into.lost[std::string(loss_cause_name(cause))] += packets_lost(cause, counts, ledger);
}

}  // namespace sidetap
