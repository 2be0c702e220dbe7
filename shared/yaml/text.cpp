#include "shared/yaml/text.h"

#include <array>

namespace sidetap::yaml {
namespace {

constexpr char32_t kReplacement = 0xfffd;

/// The size of the character at the start of `text` in bytes; 0 if it is not a character.
std::size_t character_size(std::string_view text) {
  const auto at = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&](std::size_t i) { return (at(i) & 0xc0U) == 0x80U; };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    const bool shortest = first != 0xe0 || at(1) >= 0xa0;
    const bool surrogate = first == 0xed && at(1) >= 0xa0;
    return continues(1) && continues(2) && shortest && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first < 0xf5) {
    const bool shortest = first != 0xf0 || at(1) >= 0x90;
    const bool beyond = first == 0xf4 && at(1) >= 0x90;
    return continues(1) && continues(2) && continues(3) && shortest && !beyond ? 4 : 0;
  }
  return 0;
}

bool is_high(char32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_low(char32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

}  // namespace

void append_utf8(std::string& into, char32_t character) {
  const auto add = [&](char32_t byte) {
    into += static_cast<char>(static_cast<unsigned char>(byte));
  };
  if (character < 0x80) {
    add(character);
    return;
  }
  if (character < 0x800) {
    add(0xc0 | character >> 6);
  } else if (character < 0x10000) {
    add(0xe0 | character >> 12);
    add(0x80 | (character >> 6 & 0x3f));
  } else {
    add(0xf0 | character >> 18);
    add(0x80 | (character >> 12 & 0x3f));
    add(0x80 | (character >> 6 & 0x3f));
  }
  add(0x80 | (character & 0x3f));
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t size = character_size(bytes);
    if (size == 0) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

std::string with_replacements(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t size = character_size(bytes);
    if (size == 0)
      append_utf8(text, kReplacement);
    else
      text.append(bytes.substr(0, size));
    bytes.remove_prefix(size == 0 ? 1 : size);
  }
  return text;
}

std::optional<std::string> from_utf16(std::string_view bytes) {
  const bool little = bytes.starts_with("\xff\xfe");
  if (!little && !bytes.starts_with("\xfe\xff")) return std::nullopt;
  const auto unit_at = [&](std::size_t i) -> char32_t {
    const auto one = static_cast<unsigned char>(bytes[i]);
    const auto two = static_cast<unsigned char>(bytes[i + 1]);
    return little ? one | static_cast<char32_t>(two) << 8 : two | static_cast<char32_t>(one) << 8;
  };
  std::string text;
  std::size_t i = 2;
  for (; i + 1 < bytes.size(); i += 2) {
    char32_t unit = unit_at(i);
    if (is_high(unit) && i + 3 < bytes.size() && is_low(unit_at(i + 2))) {
      unit = 0x10000 + ((unit - 0xd800) << 10) + (unit_at(i + 2) - 0xdc00);
      i += 2;
    } else if (is_high(unit) || is_low(unit)) {
      unit = kReplacement;
    }
    append_utf8(text, unit);
  }
  if (i < bytes.size()) append_utf8(text, kReplacement);
  return text;
}

namespace {

/// Reads a text from its front.
class Front {
 public:
  explicit Front(std::string_view text) : text_(text) {}

  bool take(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  /// Reads a number of `least` to `most` digits within the bounds; -1 if there is none.
  int number(std::size_t least, std::size_t most, int lowest, int highest) {
    std::size_t size = 0;
    int value = 0;
    while (size < most && size < text_.size() && text_[size] >= '0' && text_[size] <= '9')
      value = value * 10 + (text_[size++] - '0');
    text_.remove_prefix(size);
    return size >= least && value >= lowest && value <= highest ? value : -1;
  }
  /// Skips a fraction of a second, if any.
  void skip_fraction() {
    if (text_.size() < 2 || (text_[0] != '.' && text_[0] != ',') || text_[1] < '0' ||
        text_[1] > '9')
      return;
    const std::size_t end = text_.find_first_not_of("0123456789", 1);
    text_.remove_prefix(end == text_.npos ? text_.size() : end);
  }
  bool at_end() const { return text_.empty(); }

 private:
  std::string_view text_;
};

bool take_date(Front& front) {
  constexpr std::array<int, 12> kDays = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int year = front.number(4, 4, 0, 9999);
  if (year < 0 || !front.take('-')) return false;
  const int month = front.number(1, 2, 1, 12);
  if (month < 0 || !front.take('-')) return false;
  const int day = front.number(1, 2, 1, kDays[static_cast<std::size_t>(month - 1)]);
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return day > 0 && (month != 2 || day < 29 || leap);
}

bool take_time(Front& front) {
  if (front.number(1, 2, 0, 23) < 0 || !front.take(':')) return false;
  if (front.number(1, 2, 0, 59) < 0 || !front.take(':')) return false;
  if (front.number(1, 2, 0, 59) < 0) return false;
  front.skip_fraction();
  return true;
}

bool take_zone(Front& front) {
  if (front.take('Z')) return true;
  if (!front.take('+') && !front.take('-')) return false;
  return front.number(2, 2, 0, 24) >= 0 && front.take(':') && front.number(2, 2, 0, 60) >= 0;
}

}  // namespace

bool is_timestamp(std::string_view text) {
  Front front(text);
  if (!take_date(front)) return false;
  if (front.at_end()) return true;
  if (front.take(' ')) return take_time(front) && front.at_end();
  if (!front.take('T') && !front.take('t')) return false;
  return take_time(front) && take_zone(front) && front.at_end();
}

}  // namespace sidetap::yaml
