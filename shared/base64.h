// Standard Base64 (RFC 4648, padded).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sidetap {

/// Appends the Base64 of `bytes`.
void append_base64(std::string& out, std::string_view bytes);

/// Skips line ends. Returns nothing if `text` is not Base64.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace sidetap
