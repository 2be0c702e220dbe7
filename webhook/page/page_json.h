// What the page asks for, as JSON. Pure: the caller says what time it is.
//
// Times are milliseconds since 1970 (UTC) or null. Rates are whole numbers a second. All texts are
// escaped; none is HTML.
//
// GET /api/overview
//   {"now":T,"generation":N,
//    "taps":{"all":N,"forwarding":N,...},              one member for each standing
//    "rates":{"seen_packets":N,"seen_bytes":N,"forwarded_packets":N,"forwarded_bytes":N,
//             "lost_packets":N},
//    "lost":[{"cause":S,"packets":N}],                 since the start of each tap; most first
//    "recently_lost":N,                                within the last 15 minutes
//    "sensors":[{"sensor":S,"taps":N,"capturing":N,"states":{S:N},"reason":S}],
//    "sensors_left_out":N,
//    "not_following":N,"behind":N,                     taps
//    "releases":[{"name":S,"taps":N}],"profiles":[...],   of very many names, some are "others"
//    "coverage":{"tapped":N,"untapped":N} or null,     null: not watched
//    "attention":[{"severity":S,"text":S,"link":S}]}   "error", "warning" or "note"; worst first
// GET /api/taps
//   {"now":T,"columns":[S],"rows":[[...]]}             kTapColumns names the values of a row
// GET /api/taps/NAMESPACE/POD
//   {"now":T,"namespace":S,"pod":S,"uid":S,"node":S,"standing":S,"addresses":[S],"rules":N,
//    "since":T,"reported":T,"ended":T,"release":S,"profile":S,"generation":N,"following":B,
//    "interfaces":[{"name":S,"capturing":B}],"sensors":[{"sensor":S,"state":S,"reason":S}],
//    "counts":{"seen":N,"seen_bytes":N,"owned":N,"owned_bytes":N,"forwarded":N,
//              "forwarded_bytes":N,"filtered":N},
//    "lost":[{"cause":S,"packets":N}],"mesh":{"kind":S,"read":N,"legs":N,"covered":N},
//    "rates":{...},"recently_lost":N,
//    "history":{"at":[T],"seen":[N],"seen_bytes":[N],"forwarded":[N],"forwarded_bytes":[N],
//               "lost":[N]}}                           totals, oldest first
//   From "release" to "lost", members are absent if the tap has not reported, and "mesh" also if
//   it forwards no plaintext of a service mesh.
// GET /api/services
//   {"watched":B,"numbers":{"tapped":N,"partly":N,"untapped":N,"none":N},
//    "listed":[{"service":"NAMESPACE/NAME","family":"IPv4","kind":S,"tapped":N,"backends":N}],
//    "left_out":N}                                     numbers of cluster IPs; partly tapped first
// GET /api/flows
//   {"edges":[{"namespace":S,"sensor":S,"taps":N,"capturing":N,"bytes":N}],"left_out":N}
//   `bytes` a second. What a tap forwards is divided evenly among the sensors that capture.
// GET /api/coverage
//   {"watched":B,"tapped":N,"untapped":N,"causes":[{"cause":S,"pods":N,"remedy":S}],
//    "listed":[{"namespace":S,"pod":S,"owner":S,"cause":S,"detail":S}],"left_out":N}
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "webhook/coverage/summary.h"
#include "webhook/inventory/inventory.h"
#include "webhook/registry/view.h"

namespace sidetap::webhook::page {

/// "sessions" is a text: the states of the tap's sensors, each with its number. "issues" holds the
/// words of the links in /api/overview, separated by blanks. "lost" is that of the last 15 minutes.
inline constexpr std::array<std::string_view, 15> kTapColumns = {
    "namespace",       "pod",          "node",       "standing",
    "sessions",        "seen_packets", "seen_bytes", "forwarded_packets",
    "forwarded_bytes", "lost",         "release",    "profile",
    "generation",      "since",        "issues"};
inline constexpr std::size_t kMostServicesListed = 500;
inline constexpr std::size_t kMostEdges = 2'000;

/// `coverage` may be null: not watched.
std::string overview_json(const registry::View& view, const coverage::Summary* coverage,
                          inventory::Time now);
/// 10,000 taps take about 2 MB.
std::string taps_json(const registry::View& view, inventory::Time now);
/// Nothing: there is no tap of that name.
std::optional<std::string> tap_json(const registry::View& view,
                                    const inventory::Inventory::Name& name, inventory::Time now);
std::string services_json(const registry::View& view);
std::string flows_json(const registry::View& view);
std::string coverage_json(const coverage::Summary* coverage);

}  // namespace sidetap::webhook::page
