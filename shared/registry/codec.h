// Encodes and decodes the messages of messages.h as JSON, for both roles. Pure and bounded.
#pragma once

#include <string>
#include <string_view>

#include "shared/registry/messages.h"
#include "shared/result.h"

namespace sidetap::registry {

// For the tap. Addresses beyond kMostTapAddresses are left out. Every message fits
// kMostTapMessageBytes.
std::string encode(const Hello& hello);
std::string encode(const State& state);
std::string encode(const Resync& resync);
/// Leaves out what is beyond the limits of its lists, and cuts texts; reasons first.
std::string encode(const Report& report);

// For the registry.

/// Items beyond the limit of their list are left out. If all lists together are too long, some are
/// sent empty; see kMostMessageItems. Lists that a registry with these `rules` and `knows_services`
/// does not know are absent.
std::string encode(const Snapshot& snapshot);
/// `change` must satisfy fits().
std::string encode(const Change& change);
/// Leaves out values that are too long, and those beyond kMostSettings.
std::string encode(const Settings& settings);
/// Replaces bytes that are not UTF-8. The caller checks the length against
/// kMostRegistryMessageBytes.
std::string encode(const CaBundle& bundle);
std::string encode(const Refused& refused);

/// Whether every list is within its limit, and all together are within theirs. Send a snapshot
/// instead of a larger change.
bool fits(const Change& change);

/// Decodes a message of a tap. Errors, whose text may be sent to the tap: longer than
/// kMostTapMessageBytes, not a JSON object, nested too deeply, another version of the protocol, too
/// many addresses, a member that is missing or of the wrong kind. Rules that are newer than kRules
/// are no error. What a hello or a report has beyond the limits of its lists is ignored, and its
/// longer texts are cut. A report may lack members: they are empty, or 0; `following` is true.
Result<TapMessage> decode_tap_message(std::string_view text);
/// Decodes a message of the registry. Errors are alike. A snapshot has rules 2 if it has "older",
/// and knows Services if it has "services"; lists that its registry then does not know are empty.
/// Of settings, values that are too long, and those beyond kMostSettings, are ignored.
Result<Message> decode_registry_message(std::string_view text);

}  // namespace sidetap::registry
