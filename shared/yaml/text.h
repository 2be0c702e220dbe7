// Converts bytes to text as Go's libraries do.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sidetap::yaml {

bool is_utf8(std::string_view bytes);

/// Replaces each byte that is not part of a UTF-8 character with U+FFFD.
std::string with_replacements(std::string_view bytes);

/// Converts text that begins with a UTF-16 byte order mark to UTF-8, with U+FFFD for a lone
/// surrogate. Returns nothing for other text.
std::optional<std::string> from_utf16(std::string_view bytes);

/// Whether `text` is a date, or a date and time, in a format that go-yaml reads as a !!timestamp.
bool is_timestamp(std::string_view text);

/// Appends a code point as UTF-8.
void append_utf8(std::string& into, char32_t character);

}  // namespace sidetap::yaml
