// What `kubectl sidetap status` and `explain` ask for: lines that a shell can read. Pure.
//
// GET /api/status, /api/status/NAMESPACE, /api/status/NAMESPACE/POD
//
// Each line has a word and then fields, all separated by tabs; a field may be empty, and holds no
// control characters. Later versions may add words, and fields at the end of a line.
//   sidetap    RELEASE GENERATION          first: of the webhook, and of the profiles in force
//   tap        NAMESPACE POD NODE STANDING SENSORS SEEN FORWARDED LOST ISSUES PROFILE RELEASE
//     SENSORS: "10.0.0.9:2003 capturing, ..."; SEEN and FORWARDED: packets a second; LOST: packets
//     of the last 15 minutes; ISSUES: words as in survey.h, separated by blanks. A pod that was
//     replaced under its name is there twice, the newest last.
//   mesh       NAMESPACE POD KIND READ LEGS COVERED
//     After the line of a tap that forwards the plaintext of a service mesh. KIND: as in a report;
//     READ: packets of the loopback interface; LEGS: those of them that are plaintext; COVERED:
//     ciphertext that was left out. All since the start of the tap.
//   untapped   NAMESPACE POD OWNER CAUSE DETAIL REMEDY
//   coverage   yes|no                      whether "untapped" lines can be there
//   attention  SEVERITY TEXT               not about a single pod
// About a single pod also, after its line:
//   interface  NAME yes|no                 whether it is captured
//   sensor     SENSOR STATE REASON
//   counts     SEEN OWNED FORWARDED FILTERED   packets since the start of the tap
//   lost       CAUSE PACKETS               since the start of the tap
#pragma once

#include <string>

#include "webhook/coverage/summary.h"
#include "webhook/inventory/inventory.h"
#include "webhook/registry/view.h"

namespace sidetap::webhook::page {

/// What the answer is about. Empty: everything; a pod goes with its namespace.
struct StatusScope {
  std::string name_space{};
  std::string pod{};
};

/// `coverage` may be null: not watched.
std::string status_text(const registry::View& view, const coverage::Summary* coverage,
                        const StatusScope& scope, inventory::Time now);

}  // namespace sidetap::webhook::page
