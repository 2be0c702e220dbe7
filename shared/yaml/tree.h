// What YAML and JSON stand for, as one tree that keeps the order of keys.
#pragma once

#include <cstddef>
#include <string>

#include <nlohmann/json.hpp>

namespace sidetap::yaml {

/// A plain integer that no number type holds (beyond 64 bits, or 08) is a binary value that has its
/// characters, so that it is written as it was read. No other binary value exists.
using Tree = nlohmann::ordered_json;

/// Bounds of every tree that is read: levels of nesting, values after aliases are followed, and
/// bytes of text that aliases repeat.
inline constexpr std::size_t kMaxDepth = 200;
inline constexpr std::size_t kMaxValues = 2'000'000;
inline constexpr std::size_t kMaxRepeated = std::size_t{64} << 20;

/// Makes of every number what JSON carries to the API server: characters become a double, and a
/// double without a fraction that 64 bits hold becomes an integer (1e3 is 1000).
void as_json_numbers(Tree& tree);

/// The value for an error line: JSON, shortened.
std::string shown(const Tree& value);

/// One document in kubectl's style, ending in a line end. It is read as `tree` again; texts that
/// YAML would take for something else are quoted.
std::string to_yaml(const Tree& tree);

}  // namespace sidetap::yaml
