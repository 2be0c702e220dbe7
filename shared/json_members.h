// Reads members of untrusted JSON without throwing: a missing member, or one of the wrong kind,
// reads as nothing. For nlohmann::json and its variants.
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

/// The member of an object, or null if there is none. Valid as long as `object`.
template <JsonTree Json>
const Json& member(const Json& object, std::string_view key) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(std::string(key));
  return found == object.end() ? kNothing : *found;
}

/// Empty if the value is not a string.
template <JsonTree Json>
std::string text_or_empty(const Json& value) {
  return value.is_string() ? value.template get<std::string>() : std::string();
}

/// The text of a member; empty if it is missing or not a string.
template <JsonTree Json>
std::string text_of(const Json& object, std::string_view key) {
  return text_or_empty(member(object, key));
}

}  // namespace sidetap
