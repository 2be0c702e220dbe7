// Writes JSON text piece by piece, without a tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sidetap::json {

/// Appends to a string that it does not own. The caller follows the grammar (a key before each
/// value of an object, an end for every begin); the writer adds commas and escapes. Texts must be
/// UTF-8.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& string(std::string_view value);
  JsonWriter& number(std::int64_t value);
  JsonWriter& boolean(bool value);
  /// A value that is already JSON.
  JsonWriter& raw(std::string_view json);

  JsonWriter& member(std::string_view name, std::string_view value) {
    return key(name).string(value);
  }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void comma();

  std::string& out_;
  bool comma_ = false;
};

/// Appends `text` with JSON's escapes, without surrounding quotes.
void append_escaped(std::string& out, std::string_view text);
/// One step of a JSON pointer (RFC 6901), with "~" and "/" escaped.
std::string pointer_step(std::string_view key);

}  // namespace sidetap::json
