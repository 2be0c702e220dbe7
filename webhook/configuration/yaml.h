// YAML and JSON as Kubernetes tools read them: into one tree, with the order of keys kept.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "shared/result.h"

namespace sidetap::configuration {

using Tree = nlohmann::ordered_json;

/// Bounds of what is read: levels of nesting, and values after aliases are followed.
inline constexpr std::size_t kMaxTreeDepth = 200;
inline constexpr std::size_t kMaxTreeValues = 2'000'000;

struct Documents {
  std::vector<Tree> trees;
  bool json = false;  ///< The text was one JSON value, not YAML.
};

/// A plain integer that no number type holds (beyond 64 bits, or 08) is a binary value that has its
/// characters, so that it is written as it was read.
///
/// One JSON value, or any number of YAML documents (empty ones are null). Plain scalars become what
/// kubectl takes them for (YAML 1.1: "yes" is true, 0x10 is 16). Errors: `name` and the place.
Result<Documents> parse_documents(std::string_view text, std::string_view name);

/// Makes doubles of those, for readers of JSON.
void spellings_to_numbers(Tree& tree);

/// The value for an error line: JSON, shortened.
std::string shown(const Tree& value);

/// One document in kubectl's style, ending in a line end; texts that YAML would take for something
/// else are quoted.
std::string to_yaml(const Tree& tree);

}  // namespace sidetap::configuration
