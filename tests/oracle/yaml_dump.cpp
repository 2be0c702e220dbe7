// Prints how the reader understands files, for the comparison with kubectl: yaml_dump FILE... One
// line of JSON per file: the list of its documents, each {"tree": ...} or {"fault": "..."}.
#include <cstdio>
#include <iostream>
#include <string>

#include "shared/read_file.h"
#include "shared/yaml/documents.h"

namespace {

using sidetap::yaml::Tree;

Tree dump_of(const std::string& file) {
  Tree list = Tree::array();
  const auto text = sidetap::read_file(file);
  const auto documents = text ? sidetap::yaml::read_documents(*text, sidetap::yaml::Repeated::kLast)
                              : sidetap::Result<sidetap::yaml::Documents>(text.error());
  if (!documents) return Tree::array({{{"fault", documents.error().text}}});
  for (const auto& document : documents->all) {
    Tree one = Tree::object();
    if (document.fault.empty()) {
      one["tree"] = document.tree;
      sidetap::yaml::as_json_numbers(one["tree"]);
    } else {
      one["fault"] = document.fault;
    }
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    std::cout << dump_of(argv[i]).dump(-1, ' ', true, Tree::error_handler_t::replace) << '\n';
  return std::cout.flush() ? 0 : 1;
}
