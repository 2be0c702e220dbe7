// The content of YAML and JSON as one tree that keeps the order of keys.
#pragma once

#include <cstddef>
#include <string>

#include <nlohmann/json.hpp>

namespace sidetap::yaml {

/// A plain integer that no number type holds (beyond 64 bits, or 08) is a binary value that keeps
/// its spelling, so that it is written as it was read. There are no other binary values.
using Tree = nlohmann::ordered_json;

/// Bounds of every tree that is read: levels of nesting, values after aliases are expanded, and
/// bytes of text from aliases.
inline constexpr std::size_t kMaxDepth = 200;
inline constexpr std::size_t kMaxValues = 2'000'000;
inline constexpr std::size_t kMaxRepeated = std::size_t{64} << 20;

/// Converts every number to the one that JSON carries to the API server. A kept spelling becomes a
/// double, and a double without a fraction that fits 64 bits becomes an integer (1e3 is 1000).
void as_json_numbers(Tree& tree);

/// The value for an error line, as shortened JSON.
std::string shown(const Tree& value);

/// Writes one document in kubectl's style, with a final newline. Reading it gives `tree` again;
/// strings that YAML would read as something else are quoted.
std::string to_yaml(const Tree& tree);

}  // namespace sidetap::yaml
