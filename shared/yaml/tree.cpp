#include "shared/yaml/tree.h"

#include <cmath>
#include <cstdint>

#include "shared/yaml/scalar.h"

namespace sidetap::yaml {

void as_json_numbers(Tree& tree) {
  if (tree.is_structured()) {
    for (Tree& one : tree) as_json_numbers(one);
    return;
  }
  if (tree.is_binary()) tree = number_of(tree);
  if (!tree.is_number_float()) return;
  constexpr double kBeyond = 0x1p63;
  const double value = tree.get<double>();
  if (value == std::trunc(value) && std::abs(value) < kBeyond)
    tree = static_cast<std::int64_t>(value);
}

std::string shown(const Tree& value) {
  constexpr std::size_t kMost = 80;
  std::string text = value.is_binary() ? spelling(value)
                                       : value.dump(-1, ' ', false, Tree::error_handler_t::replace);
  if (text.size() > kMost) {
    text.resize(kMost);
    text += "...";
  }
  return text;
}

}  // namespace sidetap::yaml
