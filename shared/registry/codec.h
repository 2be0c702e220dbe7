// The messages of messages.h as JSON texts, for both roles. Pure, bounded, without recursion.
#pragma once

#include <string>
#include <string_view>

#include "shared/registry/messages.h"
#include "shared/result.h"

namespace sidetap::registry {

// The tap's half. Addresses over kMostTapAddresses are left out.
std::string encode(const Hello& hello);
std::string encode(const State& state);
std::string encode(const Resync& resync);

// The registry's half.

/// Addresses over kMostListedAddresses are left out of either list.
std::string encode(const Snapshot& snapshot);
/// Only what fits().
std::string encode(const Change& change);
/// Bytes that are no UTF-8 are replaced. The caller checks the length against
/// kMostRegistryMessageBytes.
std::string encode(const CaBundle& bundle);
std::string encode(const Refused& refused);

/// Is every list within its limit? A snapshot says what a larger change cannot.
bool fits(const Change& change);

/// What a tap sent. Errors, fit to be told to it: longer than kMostTapMessageBytes, no JSON object,
/// nested too deeply, another version of the protocol, too many addresses, a member that is missing
/// or of the wrong kind.
Result<TapMessage> decode_tap_message(std::string_view text);
/// What a registry sent. Errors likewise.
Result<Message> decode_registry_message(std::string_view text);

}  // namespace sidetap::registry
