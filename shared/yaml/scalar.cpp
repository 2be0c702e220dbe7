#include "shared/yaml/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

#include "shared/base64.h"
#include "shared/yaml/text.h"

namespace sidetap::yaml {
namespace {

constexpr std::string_view kTags = "tag:yaml.org,2002:";

/// The kind of a text, judged by its form. Named after YAML's tags.
enum class Kind { kStr, kNull, kBool, kInt, kFloat, kTimestamp };
constexpr std::array<std::string_view, 6> kKindNames = {"str", "null",  "bool",
                                                        "int", "float", "timestamp"};

struct Resolved {
  Kind kind = Kind::kStr;
  Tree value;
};

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<Resolved> word(const std::string& text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return Resolved{Kind::kNull, nullptr};
  if (is_one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"}))
    return Resolved{Kind::kBool, true};
  if (is_one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"}))
    return Resolved{Kind::kBool, false};
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (is_one_of(text, {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"}))
    return Resolved{Kind::kFloat, kInfinity};
  if (is_one_of(text, {"-.inf", "-.Inf", "-.INF"})) return Resolved{Kind::kFloat, -kInfinity};
  if (is_one_of(text, {".nan", ".NaN", ".NAN"}))
    return Resolved{Kind::kFloat, std::numeric_limits<double>::quiet_NaN()};
  return std::nullopt;
}

/// The value of a text that consists only of digits of `base`; nothing if it exceeds 64 bits.
std::optional<std::uint64_t> magnitude(std::string_view digits, int base) {
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value, base);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

/// Signed if it fits, otherwise unsigned; nothing if it fits neither.
std::optional<Tree> integer(bool negative, bool signed_text, std::uint64_t magnitude) {
  constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
  if (negative) {
    if (magnitude > kLargest + 1) return std::nullopt;
    return Tree(static_cast<std::int64_t>(0 - magnitude));
  }
  if (magnitude <= kLargest) return Tree(static_cast<std::int64_t>(magnitude));
  if (signed_text) return std::nullopt;
  return Tree(magnitude);
}

/// Like Go's parser: a sign, then 0x, 0o, 0b or a leading 0 for another base.
std::optional<Tree> parse_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  const bool has_sign = negative || text.starts_with('+');
  if (has_sign) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  int base = 10;
  if (text[0] == '0') {
    const char mark = text.size() > 2 ? static_cast<char>(text[1] | 0x20) : '\0';
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    text.remove_prefix(base != 8 || mark == 'o' ? 2 : 1);
    if (text.empty()) return Tree(0);
  }
  const auto value = magnitude(text, base);
  return value ? integer(negative, has_sign, *value) : std::nullopt;
}

/// A sign between the base prefix and the digits, as in 0b-1: go-yaml reads this as a number.
std::optional<Tree> parse_odd_binary(std::string_view text) {
  const bool negative = text.starts_with("-0b");
  if (!negative && !text.starts_with("0b")) return std::nullopt;
  text.remove_prefix(negative ? 3 : 2);
  if (text.empty() || negative) return std::nullopt;
  const bool minus = text.starts_with('-');
  if (!minus && !text.starts_with('+')) return std::nullopt;
  const auto value = magnitude(text.substr(1), 2);
  return value ? integer(minus, true, *value) : std::nullopt;
}

std::size_t digits_at(std::string_view text, std::size_t from) {
  std::size_t end = from;
  while (end < text.size() && is_digit(text[end])) ++end;
  return end - from;
}

/// A sign, digits with at most one point, at least one of them, and an exponent.
bool looks_like_float(std::string_view text) {
  std::size_t at = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  std::size_t digits = digits_at(text, at);
  at += digits;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = digits_at(text, ++at);
    digits += fraction;
    at += fraction;
  }
  if (digits == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const std::size_t exponent = digits_at(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

/// Nothing if it exceeds a double's range. A value that is too small becomes zero.
std::optional<double> parse_float(const std::string& text) {
  if (!looks_like_float(text)) return std::nullopt;
  const double value = std::strtod(text.c_str(), nullptr);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::string without_underscores(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
  return text;
}

/// After a point, Go's rule applies: an underscore must be between two digits.
bool underscores_separate_digits(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '_' &&
        (i == 0 || i + 1 == text.size() || !is_digit(text[i - 1]) || !is_digit(text[i + 1])))
      return false;
  return true;
}

std::optional<Resolved> number(const std::string& text) {
  const std::string plain = without_underscores(text);
  if (text[0] == '.') {
    const auto value = underscores_separate_digits(text) ? parse_float(plain) : std::nullopt;
    return value ? std::optional(Resolved{Kind::kFloat, *value}) : std::nullopt;
  }
  if (auto value = parse_integer(plain)) return Resolved{Kind::kInt, std::move(*value)};
  if (const auto value = parse_float(plain)) {
    const std::size_t sign = is_digit(plain[0]) ? 0 : 1;
    const bool whole = plain.find_first_not_of("0123456789", sign) == plain.npos;
    return Resolved{Kind::kFloat, whole ? Tree::binary({text.begin(), text.end()}) : Tree(*value)};
  }
  if (auto value = parse_odd_binary(plain)) return Resolved{Kind::kInt, std::move(*value)};
  return std::nullopt;
}

/// Resolves a text by its form alone.
Resolved look(const std::string& text) {
  constexpr std::string_view kNumbers = "+-.0123456789";
  constexpr std::string_view kWords = "yYnNtTfFoO~";
  if (text.empty() || kNumbers.find(text[0]) != kNumbers.npos ||
      kWords.find(text[0]) != kWords.npos) {
    if (auto found = word(text)) return std::move(*found);
  }
  if (!text.empty() && kNumbers.find(text[0]) != kNumbers.npos) {
    if (auto found = number(text)) return std::move(*found);
  }
  return {Kind::kStr, text};
}

Error misfit(Kind kind, const std::string& text, std::string_view tag) {
  return Error{"cannot decode !!" + std::string(kKindNames[static_cast<std::size_t>(kind)]) + " `" +
               text + "` as a !!" + std::string(tag.substr(kTags.size()))};
}

}  // namespace

Result<Tree> resolve(std::string_view tag, const std::string& text) {
  if (tag.empty()) return look(text).value;
  if (!tag.starts_with(kTags)) return Tree(text);
  const std::string_view name = tag.substr(kTags.size());
  if (name == "binary") {
    auto bytes = decode_base64(text);
    if (!bytes) return Error{"!!binary value contains invalid base64 data"};
    return Tree(with_replacements(*bytes));
  }
  const auto wanted = std::find(kKindNames.begin(), kKindNames.end(), name);
  if (wanted == kKindNames.end() || name == "str") return Tree(text);
  if (name == "timestamp") {
    if (is_timestamp(text)) return Tree(text);
    return misfit(look(text).kind, text, tag);
  }
  Resolved found = look(text);
  if (kKindNames[static_cast<std::size_t>(found.kind)] == name) return std::move(found.value);
  if (name == "float" && found.kind == Kind::kInt && !found.value.is_number_unsigned())
    return Tree(found.value.get<double>());
  return misfit(found.kind, text, tag);
}

double number_of(const Tree& spelled) {
  return std::strtod(without_underscores(spelling(spelled)).c_str(), nullptr);
}

std::string spelling(const Tree& spelled) {
  const auto& bytes = spelled.get_binary();
  return {bytes.begin(), bytes.end()};
}

namespace {

/// Formats like Go's %g for the shortest form of a 32-bit float.
std::string float_text(double wide) {
  const auto value = static_cast<float>(wide);
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value < 0 ? "-.inf" : ".inf";
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific)
                       .ptr;
  // "-1.2345e+01": a sign, digits with the point after the first one, and the exponent.
  std::string text(buffer.data(), end);
  const std::size_t mark = text.find('e');
  const int exponent = std::atoi(text.c_str() + mark + 1);
  if (exponent < -4 || exponent >= 6) return text;
  const std::size_t sign = text[0] == '-' ? 1 : 0;
  std::string digits = text.substr(sign, mark - sign);
  if (digits.size() > 1) digits.erase(1, 1);
  if (exponent < 0) {
    digits.insert(0, "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0'));
  } else {
    const auto whole = static_cast<std::size_t>(exponent) + 1;
    if (digits.size() < whole) digits.append(whole - digits.size(), '0');
    if (digits.size() > whole) digits.insert(whole, 1, '.');
  }
  return text.substr(0, sign) + digits;
}

}  // namespace

Result<std::string> key_text(const Tree& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return std::string(value.get<bool>() ? "true" : "false");
  if (value.is_number_float()) return float_text(value.get<double>());
  if (value.is_binary()) return float_text(number_of(value));
  if (value.is_number_integer() && !value.is_number_unsigned())
    return std::to_string(value.get<std::int64_t>());
  return Error{"a key is not a text"};
}

}  // namespace sidetap::yaml
