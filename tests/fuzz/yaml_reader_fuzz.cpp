// Takes any bytes as manifests. Everything that is read stays within the bounds, and is read as the
// same value again after writing. A document with a fault keeps its text and says why.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "shared/yaml/documents.h"

namespace {

using sidetap::yaml::Repeated;
using sidetap::yaml::Tree;

void require(bool holds) {
  if (!holds) std::abort();
}

std::size_t depth_of(const Tree& tree) {
  std::size_t deepest = 0;
  if (tree.is_structured())
    for (const Tree& one : tree) deepest = std::max(deepest, depth_of(one));
  return deepest + (tree.is_structured() ? 1 : 0);
}

void expect_kept(const Tree& tree) {
  const auto again = sidetap::yaml::read_documents(sidetap::yaml::to_yaml(tree), Repeated::kRefuse);
  require(again && again->all.size() == 1);
  require(again->all[0].fault.empty());
  require(again->all[0].tree == tree);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto repeated : {Repeated::kLast, Repeated::kRefuse}) {
    sidetap::yaml::Lines lines;
    const auto documents = sidetap::yaml::read_documents(text, repeated, &lines);
    if (!documents) continue;
    for (const auto& document : documents->all) {
      require(depth_of(document.tree) <= sidetap::yaml::kMaxDepth);
      require(document.fault.empty() == document.text.empty());
      require(document.line >= 1);
      if (!document.fault.empty()) continue;
      expect_kept(document.tree);
      Tree numbers = document.tree;
      sidetap::yaml::as_json_numbers(numbers);
      expect_kept(numbers);
    }
  }
  return 0;
}
