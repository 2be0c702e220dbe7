// Splits and parses text: whole numbers, comma-separated lists, percent-encoded parts of a URL.
// Flags, variables, configuration and files of the kernel all follow these rules.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace sidetap::net {

/// Reads a number from the start of `text` and removes it from there; an unsigned T accepts no
/// sign. Returns nothing and leaves `text` unchanged if it does not start with a number that fits
/// T.
template <typename T>
std::optional<T> take_number(std::string_view& text, int base = 10) {
  T value{};
  const char* const begin = text.data();
  const auto [end, error] = std::from_chars(begin, begin + text.size(), value, base);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - begin));
  return value;
}

/// The number that makes up the whole text; nothing if there is anything else.
template <typename T>
std::optional<T> whole_number(std::string_view text, int base = 10) {
  const auto value = take_number<T>(text, base);
  return text.empty() ? value : std::nullopt;
}

/// The text with `instead` for each control character of UTF-8: those below U+0020, and U+007F to
/// U+009F. Terminals take some of them as commands.
inline std::string without_controls(std::string_view text, char instead) {
  std::string clean;
  clean.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // From U+0080 on, they are C2 80 to C2 9F.
    const bool two =
        byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    clean += two || byte < 0x20 || byte == 0x7f ? instead : text[i];
    if (two) ++i;
  }
  return clean;
}

/// What percent-encoded text stands for (RFC 3986). Nothing if an escape is incomplete, or stands
/// for a control character.
inline std::optional<std::string> percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const auto digits = text.substr(i + 1, 2);
    const auto value = whole_number<std::uint8_t>(digits, 16);
    if (digits.size() != 2 || !value || *value < 0x20 || *value == 0x7f) return std::nullopt;
    plain += static_cast<char>(*value);
    i += 2;
  }
  return plain;
}

/// `text` without the characters `ends` at both ends.
constexpr std::string_view trimmed(std::string_view text, std::string_view ends = " \t\r\n") {
  const auto begin = text.find_first_not_of(ends);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(ends) - begin + 1);
}

/// The beginning of `text`, at most `most` bytes long. Cuts no character of UTF-8.
constexpr std::string_view shortened_text(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; };
  while (most > 0 && continues(text[most])) --most;
  return text.substr(0, most);
}

/// The items of "a,b,c", for a range-based for. Blanks are kept, and an item may be empty. A text
/// without a comma is one item; so is an empty text.
class Items {
 public:
  /// `list` must outlive the object and its items.
  explicit constexpr Items(std::string_view list) : list_(list) {}
  /// For a list that may be empty (no items) or end with a comma.
  static constexpr Items if_any(std::string_view list) {
    Items items(list.ends_with(',') ? list.substr(0, list.size() - 1) : list);
    items.none_ = list.empty();
    return items;
  }

  class Iterator {
   public:
    constexpr Iterator(std::string_view rest, bool at_end)
        : rest_(rest), item_(first_of(rest)), at_end_(at_end) {}
    constexpr std::string_view operator*() const { return item_; }
    constexpr Iterator& operator++() {
      at_end_ = item_.size() == rest_.size();
      if (at_end_) return *this;
      rest_.remove_prefix(item_.size() + 1);
      item_ = first_of(rest_);
      return *this;
    }
    constexpr bool operator==(std::default_sentinel_t) const { return at_end_; }

   private:
    static constexpr std::string_view first_of(std::string_view rest) {
      return rest.substr(0, rest.find(','));
    }
    std::string_view rest_;
    std::string_view item_;
    bool at_end_;
  };

  constexpr Iterator begin() const { return {list_, none_}; }
  constexpr std::default_sentinel_t end() const { return {}; }

 private:
  std::string_view list_;
  bool none_ = false;
};

/// Joins the texts of a range.
template <typename Texts>
std::string joined(const Texts& texts, std::string_view between = ",") {
  std::string all;
  bool first = true;
  for (const auto& text : texts) {
    if (!first) all += between;
    first = false;
    all += text;
  }
  return all;
}

}  // namespace sidetap::net
