// The ledger of identities as text: JSON for programs, JSON Lines for Arkime and Suricata, and a
// table for Zeek. Pure.
//
// One object describes a tenure, or what a pod holds now:
//   {"ip":["10.0.0.5"],"namespace":"shop","pod":"web-1","uid":"...","node":"n1",
//    "from":"2026-01-02T03:04:05.678Z","to":null}
// The members have this order. `node` is null if it is not known. `to` is null while the pod holds
// the addresses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "shared/result.h"
#include "webhook/identity/ledger.h"

namespace sidetap::webhook::identity {

/// RFC 3339 in UTC with milliseconds: "2026-01-02T03:04:05.678Z".
std::string to_text(Time time);
/// The same form, also without a fraction or with up to 9 digits of one; digits below a millisecond
/// do not count. Also with an offset ("+01:00") instead of "Z". The Error's text says what is
/// accepted.
Result<Time> parse_time(std::string_view text);

nlohmann::ordered_json object_of(const Tenure& tenure);
/// All addresses that the pod holds. `from` is that of the oldest tenure, null if there is none.
nlohmann::ordered_json object_of(const Tap& tap);
/// On one line, without its end. Bytes that are not UTF-8 are replaced.
std::string line_of(const nlohmann::ordered_json& object);

/// A line for each tenure, in the given order. Here, "ip" is a string and not a list: Suricata does
/// not start with a list.
std::string json_lines(const std::vector<Tenure>& tenures);
/// "#fields<TAB>ip<TAB>pod<TAB>namespace<TAB>uid<TAB>node", then a line for each tenure that has
/// not ended. Empty values are "-". Control characters, backslashes and a value that is "-" are
/// escaped as \xHH.
std::string zeek_table(const std::vector<Tenure>& tenures);

}  // namespace sidetap::webhook::identity
