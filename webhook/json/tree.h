// Reading a parsed document without surprises: what is missing or of another kind is nothing.
#pragma once

#include <optional>
#include <string_view>

#include <simdjson.h>

namespace sidetap::admission {

/// A value of a parsed document. Valid, as all texts that come out of it, while the document lives.
using Value = simdjson::dom::element;

/// The member `key` of an object; nothing when there is none, when it is null, or when `value` is
/// no object.
inline std::optional<Value> find(Value value, std::string_view key) {
  simdjson::dom::object object;
  Value member;
  if (value.get(object) || object.at_key(key).get(member) || member.is_null()) return std::nullopt;
  return member;
}
inline std::optional<Value> find(const std::optional<Value>& value, std::string_view key) {
  return value ? find(*value, key) : std::nullopt;
}

inline std::optional<std::string_view> as_text(const std::optional<Value>& value) {
  std::string_view text;
  if (!value || value->get(text)) return std::nullopt;
  return text;
}
/// The text of a member; empty when it is not there or no text.
inline std::string_view text_of(const std::optional<Value>& value, std::string_view key) {
  return as_text(find(value, key)).value_or(std::string_view());
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

}  // namespace sidetap::admission
