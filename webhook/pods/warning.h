// Formats warnings to users about their pod.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sidetap::pods {

/// `text`, cut to at most `limit` characters, of which the last are "..." if it was cut.
std::string shortened(std::string_view text, std::size_t limit);

/// The API server may cut longer warnings.
inline constexpr std::size_t kMaxWarning = 120;
/// What every warning begins with.
inline constexpr std::string_view kWarningPrefix = "sidetap: ";
/// kWarningPrefix and `text`, suitable for an HTTP header: at most kMaxWarning characters and no
/// control characters (API servers drop a warning that has one, including those from U+0080 on).
std::string warning(std::string_view text);
/// `value` in quotes, shortened, for the middle of a warning.
std::string in_quotes(std::string_view value);

}  // namespace sidetap::pods
