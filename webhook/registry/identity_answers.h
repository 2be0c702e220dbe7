// What answers about taps and the ledger of identities say. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "shared/net/ip_address.h"
#include "webhook/identity/ledger.h"
#include "webhook/inventory/inventory.h"

namespace sidetap::webhook::registry {

/// A connected tap as an object: the members of the ledger's, then
///   "forwarding":true,"rules":2,
///   "standing":"forwarding","profile":"edge","generation":7,"following":true,"release":"1.2.0",
///   "reported":"2026-01-02T03:04:05.678Z","interfaces":[...],"sensors":[...],"counts":{...},
///   "lost":{"kernel_ring":0}
/// "interfaces" and what follows are those of the tap's report; see shared/registry/messages.h.
/// What follows "standing" is null without a report, and "forwarding" and "rules" are null if the
/// tap has just gone. `known` is null if nothing more is known of it.
std::string tap_object(const identity::Tap& tap, const inventory::Tap* known);
/// The same for a tap that has gone lately: "ip" holds its last addresses, "from" and "to" say how
/// long it was connected, and "forwarding" and "rules" are null.
std::string gone_tap_object(const inventory::Tap& tap);

/// A line: {"address","at","state":"held|uncertain|unknown","holder","last","next"}. The last three
/// are tenures or null.
std::string answer_line(const net::IpAddress& address, identity::Time at,
                        const identity::Answer& answer);

// Lines of a list or a stream; see identity_api.h.
std::string tenure_line(const identity::Tenure& tenure);
std::string position_line(const identity::Position& position);
std::string change_line(std::uint64_t epoch, const identity::Change& change);

}  // namespace sidetap::webhook::registry
