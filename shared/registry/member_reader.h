// Extracts the members of interest while it reads a JSON object, without building a tree of a text
// that may be megabytes long. Skips everything else, down to kMostDepth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "shared/registry/messages.h"

namespace sidetap::registry {

/// The lists of addresses that a role sends, and their limits.
struct ListLimits {
  std::span<const std::string_view> keys;
  std::size_t most_each;
  std::size_t most_together;
};

class MemberReader {
 public:
  explicit MemberReader(const ListLimits& limits);

  /// Call it once per reader. Returns false if `text` is not a JSON object, is nested too deeply,
  /// or holds a list that is too long.
  bool read(std::string_view text);

  // Members of the object that was read. Nothing: the member is absent or of another kind.
  std::optional<std::string> text(std::string_view key);
  std::optional<std::uint64_t> number(std::string_view key);
  std::optional<bool> flag(std::string_view key);
  /// Also nothing if an element is not an address. Moves the list out.
  std::optional<Addresses> list(std::string_view key);
  /// Whether the scalar member is present, of any kind.
  bool has(std::string_view key) const;
  /// Whether the list is present, of any kind.
  bool has_list(std::string_view key) const;

  // The SAX callbacks of nlohmann::json. False ends the reading.
  bool null() { return scalar(); }
  bool boolean(bool value);
  bool number_integer(std::int64_t) { return scalar(); }
  bool number_unsigned(std::uint64_t value);
  bool number_float(double, const std::string&) { return scalar(); }
  bool binary(nlohmann::json::binary_t&) { return scalar(); }
  bool string(std::string& value);
  bool key(std::string& name);
  bool start_object(std::size_t) { return enter(); }
  bool end_object() { return leave(); }
  bool start_array(std::size_t);
  bool end_array() { return leave(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) {
    return false;
  }

 private:
  struct Scalar {
    std::string_view key;
    std::variant<std::monostate, std::string, std::uint64_t, bool> value{};
    bool there = false;
  };
  struct List {
    std::string_view key;
    Addresses addresses{};
    bool there = false, good = false;  // good: an array of addresses only
  };

  bool scalar();
  bool enter();
  bool leave();
  template <typename Value>
  std::optional<Value> value_of(std::string_view key);

  const ListLimits limits_;
  std::vector<Scalar> scalars_;
  std::vector<List> lists_;
  std::size_t depth_ = 0;
  std::size_t addresses_ = 0;
  Scalar* scalar_ = nullptr;  // the member that is being read, where it is of interest
  List* list_ = nullptr;
};

}  // namespace sidetap::registry
