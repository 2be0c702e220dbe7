// The files of the page, which are part of the program.
#pragma once

#include <span>
#include <string_view>

namespace sidetap::webhook::page {

struct Asset {
  std::string_view path;  ///< "/app.js"; the page itself is "/".
  std::string_view content_type;
  std::string_view etag;  ///< Of the content, in quotes.
  std::string_view content;
};

/// Static storage.
std::span<const Asset> assets();
/// Null if there is none. `path` is without a query.
const Asset* find_asset(std::string_view path);

}  // namespace sidetap::webhook::page
