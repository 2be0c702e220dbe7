#include "webhook/identity/identity_text.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace sidetap::webhook::identity {
namespace {

using nlohmann::ordered_json;
using std::chrono::days;
using std::chrono::milliseconds;
using std::chrono::year_month_day;

void append_digits(std::string& text, std::int64_t value, std::size_t width) {
  const std::string digits = std::to_string(value);
  if (digits.size() < width) text.append(width - digits.size(), '0');
  text += digits;
}

/// Takes exactly `count` digits from the front.
std::optional<std::int64_t> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

/// Takes one character of `accepted` from the front.
bool take_one_of(std::string_view& text, std::string_view accepted) {
  if (text.empty() || accepted.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

/// "2026-01-02"
std::optional<std::chrono::sys_days> take_date(std::string_view& text) {
  const auto year = take_digits(text, 4);
  if (!year || !take_one_of(text, "-")) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take_one_of(text, "-")) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day) return std::nullopt;
  const year_month_day date{std::chrono::year(static_cast<int>(*year)),
                            std::chrono::month(static_cast<unsigned>(*month)),
                            std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

/// "03:04"
std::optional<milliseconds> take_minutes(std::string_view& text) {
  const auto hours = take_digits(text, 2);
  if (!hours || *hours > 23 || !take_one_of(text, ":")) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
}

/// ".678", or nothing.
std::optional<milliseconds> take_fraction(std::string_view& text) {
  if (!take_one_of(text, ".")) return milliseconds(0);
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (; digits < 9; ++digits) {
    const auto digit = take_digits(text, 1);
    if (!digit) break;
    if (digits < 3) value = value * 10 + *digit;
  }
  if (digits == 0) return std::nullopt;
  for (std::size_t i = digits; i < 3; ++i) value *= 10;
  return milliseconds(value);
}

/// "Z", or the time that a clock there is ahead of UTC.
std::optional<milliseconds> take_offset(std::string_view& text) {
  if (take_one_of(text, "Zz")) return milliseconds(0);
  const bool behind = text.starts_with('-');
  if (!take_one_of(text, "+-")) return std::nullopt;
  const auto offset = take_minutes(text);
  if (!offset) return std::nullopt;
  return behind ? -*offset : *offset;
}

std::optional<Time> take_time(std::string_view& text) {
  const auto date = take_date(text);
  if (!date || !take_one_of(text, "Tt")) return std::nullopt;
  const auto minutes = take_minutes(text);
  if (!minutes || !take_one_of(text, ":")) return std::nullopt;
  const auto seconds = take_digits(text, 2);
  if (!seconds || *seconds > 59) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const auto offset = take_offset(text);
  if (!offset) return std::nullopt;
  return Time(*date) + *minutes + std::chrono::seconds(*seconds) + *fraction - *offset;
}

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

ordered_json time_or_null(const std::optional<Time>& time) {
  return time ? ordered_json(to_text(*time)) : ordered_json();
}

ordered_json described(ordered_json addresses, const Pod& pod, const std::optional<Time>& from,
                       const std::optional<Time>& to) {
  ordered_json object;
  object["ip"] = std::move(addresses);
  object["namespace"] = pod.name_space;
  object["pod"] = pod.name;
  object["uid"] = pod.uid;
  object["node"] = text_or_null(pod.node);
  object["from"] = time_or_null(from);
  object["to"] = time_or_null(to);
  return object;
}

void append_zeek(std::string& table, std::string_view value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (value.empty()) {
    table += '-';
    return;
  }
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f && c != '\\' && value != "-") {
      table += c;
    } else {
      table += "\\x";
      table += kDigits[byte >> 4];
      table += kDigits[byte & 0xf];
    }
  }
}

}  // namespace

std::string to_text(Time time) {
  const auto day = std::chrono::floor<days>(time);
  const year_month_day date(day);
  const std::int64_t within = (time - day).count();
  std::string text;
  append_digits(text, static_cast<int>(date.year()), 4);
  text += '-';
  append_digits(text, static_cast<unsigned>(date.month()), 2);
  text += '-';
  append_digits(text, static_cast<unsigned>(date.day()), 2);
  text += 'T';
  append_digits(text, within / 3'600'000, 2);
  text += ':';
  append_digits(text, within / 60'000 % 60, 2);
  text += ':';
  append_digits(text, within / 1'000 % 60, 2);
  text += '.';
  append_digits(text, within % 1'000, 3);
  text += 'Z';
  return text;
}

Result<Time> parse_time(std::string_view text) {
  const auto time = take_time(text);
  if (time && text.empty()) return *time;
  return Error{"a time like 2026-01-02T03:04:05.678Z or 2026-01-02T03:04:05+01:00 (RFC 3339)"};
}

ordered_json object_of(const Tenure& tenure) {
  ordered_json addresses = ordered_json::array();
  addresses.push_back(tenure.address.to_string());
  return described(std::move(addresses), *tenure.pod, tenure.from, tenure.to);
}

ordered_json object_of(const Tap& tap) {
  ordered_json addresses = ordered_json::array();
  std::optional<Time> from;
  for (const Tenure& tenure : tap.tenures) {
    addresses.push_back(tenure.address.to_string());
    from = from ? std::min(*from, tenure.from) : tenure.from;
  }
  return described(std::move(addresses), *tap.pod, from, std::nullopt);
}

std::string line_of(const ordered_json& object) {
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string json_lines(const std::vector<Tenure>& tenures) {
  std::string lines;
  for (const Tenure& tenure : tenures) {
    lines += line_of(described(tenure.address.to_string(), *tenure.pod, tenure.from, tenure.to));
    lines += '\n';
  }
  return lines;
}

std::string zeek_table(const std::vector<Tenure>& tenures) {
  std::string table = "#fields\tip\tpod\tnamespace\tuid\tnode\n";
  for (const Tenure& tenure : tenures) {
    if (tenure.to) continue;
    const Pod& pod = *tenure.pod;
    table += tenure.address.to_string();
    for (const std::string& value : {pod.name, pod.name_space, pod.uid, pod.node}) {
      table += '\t';
      append_zeek(table, value);
    }
    table += '\n';
  }
  return table;
}

}  // namespace sidetap::webhook::identity
