// Prints the answer to a review for one pair of the testdata: NAME.review.json with
// NAME.config.yaml (or default.config.yaml). Usage: webhook_golden_patches TESTDATA NAME
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "webhook/admission/admit.h"
#include "webhook/configuration/configuration_file.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "Usage: webhook_golden_patches TESTDATA NAME\n";
    return 2;
  }
  const std::string base = std::string(argv[1]) + "/" + argv[2];
  std::string config = base + ".config.yaml";
  if (!std::filesystem::exists(config)) config = std::string(argv[1]) + "/default.config.yaml";
  const auto configuration = sidetap::configuration::load_configuration(config);
  if (!configuration) {
    std::cerr << configuration.error().text << '\n';
    return 1;
  }
  std::ifstream file(base + ".review.json", std::ios::binary);
  const std::string review{std::istreambuf_iterator<char>(file), {}};
  std::cout << sidetap::admission::admit(review, sidetap::admission::Entry::kNamespace,
                                         *configuration)
                   .body;
  return 0;
}
