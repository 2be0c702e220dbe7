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

/// A list that a role sends.
struct ListSpec {
  std::string_view key;
  std::size_t most;
  bool of_transport_addresses = false;  ///< Otherwise of addresses.
};

class MemberReader {
 public:
  using Values = decltype(Settings::values);

  /// Reads these lists, of which all together have at most `most_together` items. The keys must
  /// outlive this object.
  MemberReader(std::span<const ListSpec> lists, std::size_t most_together);

  /// Call it once per reader. Returns false if `text` is not a JSON object, is nested too deeply,
  /// or holds a list that is too long.
  bool read(std::string_view text);

  // Members of the object that was read. Nothing: the member is absent or of another kind.
  std::optional<std::string> text(std::string_view key);
  std::optional<std::uint64_t> number(std::string_view key);
  std::optional<bool> flag(std::string_view key);
  /// Also nothing if an element is not an Item: net::IpAddress or net::TransportAddress, as in the
  /// list's ListSpec. Moves the list out.
  template <typename Item>
  std::optional<std::vector<Item>> list(std::string_view key);
  /// The member "values", an object of texts. Also nothing if a member of it is no text. Leaves out
  /// texts that are too long, and those beyond kMostSettings. Moves the texts out.
  std::optional<Values> values();
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
  bool start_object(std::size_t);
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
    explicit List(const ListSpec& spec);
    /// Returns false if the text is not an item of this list.
    bool take(std::string_view text);
    std::size_t size() const;

    std::string_view key;
    std::size_t most;
    std::variant<Addresses, TransportAddresses> items{};
    bool there = false, good = false;  // good: an array of such items only
  };

  struct Named {
    bool reading = false;  // the member is being read
    bool good = false;     // an object of texts only
    std::string name{};    // of the text that follows
    Values texts{};

    void take(std::string& text);
  };

  bool scalar();
  bool enter();
  bool leave();
  template <typename Value>
  std::optional<Value> value_of(std::string_view key);

  const std::span<const ListSpec> specs_;
  const std::size_t most_together_;
  std::vector<Scalar> scalars_;
  std::vector<List> lists_;  // as specs_
  Named values_;
  std::size_t depth_ = 0;
  std::size_t items_ = 0;
  Scalar* scalar_ = nullptr;  // the member that is being read, where it is of interest
  List* list_ = nullptr;
};

}  // namespace sidetap::registry
