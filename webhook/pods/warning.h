// What users are told of their pod.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sidetap::pods {

/// `text`, or of a longer one `limit` characters, "..." the last of them.
std::string shortened(std::string_view text, std::size_t limit);

/// The API server may cut longer warnings.
inline constexpr std::size_t kMaxWarning = 120;
/// "sidetap: " and `text`, fit for an HTTP header: at most kMaxWarning characters, none of them a
/// control character (API servers drop a warning that has one, those from U+0080 on included).
std::string warning(std::string_view text);
/// `value` in quotes, shortened, for the middle of a warning.
std::string in_quotes(std::string_view value);

}  // namespace sidetap::pods
