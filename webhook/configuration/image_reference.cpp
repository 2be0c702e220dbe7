#include "webhook/configuration/image_reference.h"

#include <algorithm>

namespace sidetap::configuration {
namespace {

constexpr std::size_t kMostName = 255;
constexpr std::size_t kMostTag = 128;
constexpr std::size_t kLeastDigest = 32;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
bool is_alnum(char c) { return is_letter(c) || is_digit(c); }

template <typename Predicate>
bool all(std::string_view text, Predicate&& predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

/// Labels of letters, digits and hyphens, without a hyphen at either end, separated by dots.
bool is_host_name(std::string_view text) {
  for (;;) {
    const std::size_t dot = std::min(text.find('.'), text.size());
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.front() == '-' || label.back() == '-' ||
        !all(label, [](char c) { return is_alnum(c) || c == '-'; }))
      return false;
    if (dot == text.size()) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_registry(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == text.npos || end < 2) return false;
    const std::string_view address = text.substr(1, end - 1);
    const auto is_hex = [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':';
    };
    if (!all(address, is_hex)) return false;
    text.remove_prefix(end + 1);
    return text.empty() || (text.size() > 1 && text[0] == ':' && all(text.substr(1), is_digit));
  }
  const std::size_t colon = text.find(':');
  if (colon == text.npos) return is_host_name(text);
  const std::string_view port = text.substr(colon + 1);
  return is_host_name(text.substr(0, colon)) && !port.empty() && all(port, is_digit);
}

/// Lower-case letters and digits, separated by one dot, one or two underscores, or any number of
/// hyphens.
bool is_name(std::string_view text) {
  const auto is_good = [](char c) { return is_lower(c) || is_digit(c); };
  if (text.empty() || !is_good(text.front()) || !is_good(text.back())) return false;
  while (!text.empty()) {
    while (!text.empty() && is_good(text.front())) text.remove_prefix(1);
    std::size_t between = 0;
    while (between < text.size() && !is_good(text[between])) ++between;
    const std::string_view separator = text.substr(0, between);
    if (!separator.empty() && separator != "." && separator != "_" && separator != "__" &&
        separator.find_first_not_of('-') != separator.npos)
      return false;
    text.remove_prefix(between);
  }
  return true;
}

bool is_tag(std::string_view text) {
  const auto is_word = [](char c) { return is_alnum(c) || c == '_'; };
  return !text.empty() && text.size() <= kMostTag && is_word(text.front()) &&
         all(text, [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

/// ALGORITHM:HEX; the algorithm may have several parts (sha256+b64).
bool is_digest(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == text.npos) return false;
  std::string_view algorithm = text.substr(0, colon);
  for (;;) {
    const std::size_t part = std::min(algorithm.find_first_of("-_+."), algorithm.size());
    if (part == 0 || !is_letter(algorithm[0]) || !all(algorithm.substr(0, part), is_alnum))
      return false;
    if (part == algorithm.size()) break;
    algorithm.remove_prefix(part + 1);
  }
  const std::string_view hash = text.substr(colon + 1);
  return hash.size() >= kLeastDigest && all(hash, [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

}  // namespace

bool is_image_reference(std::string_view text) {
  if (const std::size_t at = text.find('@'); at != text.npos) {
    if (!is_digest(text.substr(at + 1))) return false;
    text = text.substr(0, at);
  }
  const std::size_t colon = text.rfind(':');
  if (colon != text.npos && text.find('/', colon) == text.npos) {
    if (!is_tag(text.substr(colon + 1))) return false;
    text = text.substr(0, colon);
  }
  if (text.empty() || text.size() > kMostName) return false;
  for (bool first = true;; first = false) {
    const std::size_t slash = std::min(text.find('/'), text.size());
    const std::string_view part = text.substr(0, slash);
    const bool may_be_registry = first && slash != text.size();
    if (!is_name(part) && !(may_be_registry && is_registry(part))) return false;
    if (slash == text.size()) return true;
    text.remove_prefix(slash + 1);
  }
}

}  // namespace sidetap::configuration
