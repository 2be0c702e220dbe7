// What answers about the ledger of identities say. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "shared/net/ip_address.h"
#include "webhook/identity/ledger.h"

namespace sidetap::webhook::registry {

/// What a connected tap has said last.
struct TapState {
  bool forwarding = false;
  std::uint64_t rules = 0;  ///< The newest ownership rules that it applies.
};
/// By the UID of the tap's pod.
using TapStates = std::unordered_map<std::string, TapState>;

/// A tap as an object: the members of the ledger's, then `forwarding` and `rules`, which are null
/// if the tap has just gone.
std::string tap_object(const identity::Tap& tap, const TapStates& states);

/// A line: {"address","at","state":"held|uncertain|unknown","holder","last","next"}. The last three
/// are tenures or null.
std::string answer_line(const net::IpAddress& address, identity::Time at,
                        const identity::Answer& answer);

// Lines of a list or a stream; see identity_api.h.
std::string tenure_line(const identity::Tenure& tenure);
std::string position_line(const identity::Position& position);
std::string change_line(std::uint64_t epoch, const identity::Change& change);

}  // namespace sidetap::webhook::registry
