#include "webhook/coverage/label_selector.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/json_members.h"
#include "shared/net/text.h"

namespace sidetap::webhook::coverage {
namespace {

using configuration::LabelCondition;
using Operator = LabelCondition::Operator;

constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
/// A prefix of 253 characters, a slash and a name of 63.
constexpr std::size_t kMostKeyBytes = 317;
constexpr std::size_t kMostValueBytes = 63;

constexpr std::string_view kBlanks = " \t";

bool is_key(std::string_view text) {
  const auto slash = text.find('/');
  const auto name = slash == text.npos ? text : text.substr(slash + 1);
  const auto prefix = slash == text.npos ? std::string_view() : text.substr(0, slash);
  return !name.empty() && slash != 0 && text.size() <= kMostKeyBytes &&
         name.find_first_not_of(kNameCharacters) == text.npos &&
         prefix.find_first_not_of(kNameCharacters) == text.npos;
}

bool is_value(std::string_view text) {
  return text.size() <= kMostValueBytes && text.find_first_not_of(kNameCharacters) == text.npos;
}

/// Takes what is before the next comma that is not in parentheses off `rest`.
std::string_view take_item(std::string_view& rest) {
  bool inside = false;
  std::size_t end = 0;
  for (; end < rest.size() && (inside || rest[end] != ','); ++end) {
    if (rest[end] == '(') inside = true;
    if (rest[end] == ')') inside = false;
  }
  const auto item = rest.substr(0, end);
  rest = end < rest.size() ? rest.substr(end + 1) : std::string_view();
  return net::trimmed(item, kBlanks);
}

std::optional<LabelCondition> condition(std::string_view key, Operator op,
                                        std::vector<std::string> values) {
  key = net::trimmed(key, kBlanks);
  if (!is_key(key)) return std::nullopt;
  return LabelCondition{std::string(key), op, std::move(values)};
}

/// "KEY in (VALUE,...)" or "KEY notin (VALUE,...)".
std::optional<LabelCondition> set_condition(std::string_view text) {
  const auto open = text.find('(');
  const auto head = net::trimmed(text.substr(0, open), kBlanks);
  const auto blank = head.find_last_of(kBlanks);
  if (open == text.npos || blank == head.npos) return std::nullopt;
  const auto word = head.substr(blank + 1);
  if (word != "in" && word != "notin") return std::nullopt;
  std::string_view list = text.substr(open + 1, text.size() - open - 2);
  std::vector<std::string> values;
  do {
    const auto comma = list.find(',');
    const auto value = net::trimmed(list.substr(0, comma), kBlanks);
    if (!is_value(value)) return std::nullopt;
    values.emplace_back(value);
    list = comma == list.npos ? std::string_view() : list.substr(comma + 1);
  } while (!list.empty());
  return condition(head.substr(0, blank), word == "in" ? Operator::kIn : Operator::kNotIn,
                   std::move(values));
}

std::optional<LabelCondition> condition_of(std::string_view text) {
  if (text.starts_with('!')) return condition(text.substr(1), Operator::kDoesNotExist, {});
  if (text.ends_with(')')) return set_condition(text);
  const auto equals = text.find('=');
  if (equals == text.npos) return condition(text, Operator::kExists, {});
  auto key = text.substr(0, equals);
  auto value = text.substr(equals + 1);
  const bool unequal = key.ends_with('!');
  if (unequal) {
    key.remove_suffix(1);
  } else if (value.starts_with('=')) {
    value.remove_prefix(1);
  }
  value = net::trimmed(value, kBlanks);
  if (!is_value(value)) return std::nullopt;
  return condition(key, unequal ? Operator::kNotIn : Operator::kIn, {std::string(value)});
}

bool meets(const LabelCondition& one, const nlohmann::json& labels) {
  const nlohmann::json& label = member(labels, one.key);
  const bool listed =
      label.is_string() && std::find(one.values.begin(), one.values.end(),
                                     label.get_ref<const std::string&>()) != one.values.end();
  switch (one.op) {
    case Operator::kIn:
      return listed;
    case Operator::kNotIn:
      return !listed;
    case Operator::kExists:
      return label.is_string();
    case Operator::kDoesNotExist:
      break;
  }
  return !label.is_string();
}

}  // namespace

Result<LabelSelector> parse_label_selector(std::string_view text) {
  LabelSelector selector;
  std::string_view rest = net::trimmed(text, kBlanks);
  while (!rest.empty()) {
    auto one = condition_of(take_item(rest));
    if (!one) return Error{"a label selector, such as a=b,c in (d,e),!f"};
    selector.push_back(*std::move(one));
  }
  return selector;
}

bool matches(const LabelSelector& selector, const nlohmann::json& labels) {
  return std::all_of(selector.begin(), selector.end(),
                     [&](const LabelCondition& one) { return meets(one, labels); });
}

}  // namespace sidetap::webhook::coverage
