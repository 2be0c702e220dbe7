// Reads a parsed document without errors: a value that is missing or of the wrong kind is nothing.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include <simdjson.h>

namespace sidetap::json {

/// A value of a parsed document. It and all its texts are valid as long as the document.
using Value = simdjson::dom::element;

/// The member `key` of an object; nothing if it is missing or null, or if `value` is not an object.
/// If a key occurs twice, the first one counts.
inline std::optional<Value> find(Value value, std::string_view key) {
  simdjson::dom::object object;
  Value member;
  if (value.get(object) || object.at_key(key).get(member) || member.is_null()) return std::nullopt;
  return member;
}
inline std::optional<Value> find(const std::optional<Value>& value, std::string_view key) {
  return value ? find(*value, key) : std::nullopt;
}

/// Finds several members as find() does, in one pass over the object:
/// `const auto [name, ports] = pick(container, "name", "ports");`
template <typename... Keys>
std::array<std::optional<Value>, sizeof...(Keys)> pick(const std::optional<Value>& value,
                                                       const Keys&... keys) {
  const std::array<std::string_view, sizeof...(Keys)> wanted = {std::string_view(keys)...};
  std::array<std::optional<Value>, sizeof...(Keys)> members;
  std::array<bool, sizeof...(Keys)> seen{};
  std::size_t missing = wanted.size();
  simdjson::dom::object object;
  if (!value || value->get(object)) return members;
  for (const auto field : object) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (field.key != wanted[i] || seen[i]) continue;
      seen[i] = true;
      if (!field.value.is_null()) members[i] = field.value;
      --missing;
    }
    if (missing == 0) break;
  }
  return members;
}

inline std::optional<std::string_view> as_text(const std::optional<Value>& value) {
  std::string_view text;
  if (!value || value->get(text)) return std::nullopt;
  return text;
}
/// Empty if there is no value or it is not a string.
inline std::string_view text_or_empty(const std::optional<Value>& value) {
  return as_text(value).value_or(std::string_view());
}
/// The text of a member; empty if it is missing or not a string.
inline std::string_view text_of(const std::optional<Value>& value, std::string_view key) {
  return text_or_empty(find(value, key));
}
inline bool is_true(const std::optional<Value>& value) {
  bool flag = false;
  return value && !value->get(flag) && flag;
}

inline std::optional<simdjson::dom::array> as_array(const std::optional<Value>& value) {
  simdjson::dom::array array;
  if (!value || value->get(array)) return std::nullopt;
  return array;
}
/// The number of elements of an array; 0 if the value is not an array. Stops counting at
/// 16,777,215.
inline std::size_t size_of(const std::optional<Value>& value) {
  const auto array = as_array(value);
  return array ? array->size() : 0;
}

/// Calls `visit(key, value)` for each member of an object.
template <typename Visit>
void each_member(const std::optional<Value>& value, Visit&& visit) {
  simdjson::dom::object object;
  if (!value || value->get(object)) return;
  for (const auto field : object) visit(field.key, field.value);
}
/// Calls `visit(value)` for each element of an array.
template <typename Visit>
void each_element(const std::optional<Value>& value, Visit&& visit) {
  if (const auto array = as_array(value))
    for (const Value element : *array) visit(element);
}

}  // namespace sidetap::json
