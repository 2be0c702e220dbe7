// Bytes to text, as Go's libraries do it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sidetap::yaml {

bool is_utf8(std::string_view bytes);

/// Each byte that belongs to no UTF-8 character becomes U+FFFD.
std::string with_replacements(std::string_view bytes);

/// Text that begins with the byte order mark of UTF-16 as UTF-8, a surrogate without its partner as
/// U+FFFD; nothing: it begins otherwise.
std::optional<std::string> from_utf16(std::string_view bytes);

/// A date, or a date and a time, of the formats that go-yaml takes for a !!timestamp.
bool is_timestamp(std::string_view text);

/// Appends a code point as UTF-8.
void append_utf8(std::string& into, char32_t character);

}  // namespace sidetap::yaml
