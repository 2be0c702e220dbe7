// Members of JSON that came from elsewhere: what is missing or of another kind than it should be
// reads as nothing, and never throws. For nlohmann::json and its kin.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace sidetap {

template <typename T>
concept JsonTree = requires {
  typename T::object_t;
  typename T::json_pointer;
};

/// The member of an object; null when there is none. Lives as long as the object does.
template <JsonTree Json>
const Json& member(const Json& object, std::string_view key) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(std::string(key));
  return found == object.end() ? kNothing : *found;
}

/// Empty when the value is no text.
template <JsonTree Json>
std::string text_or_empty(const Json& value) {
  return value.is_string() ? value.template get<std::string>() : std::string();
}

/// The text of a member; empty when there is none, or it is no text.
template <JsonTree Json>
std::string text_of(const Json& object, std::string_view key) {
  return text_or_empty(member(object, key));
}

}  // namespace sidetap
