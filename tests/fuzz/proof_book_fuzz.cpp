// Any text as what the registry says of the pods that it has proved, line by line. What is taken is
// within the limits, and becomes no part of a request or of a path but what may stand there.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sidecar/collector/proof_book.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sidetap::collector::ProofBook;
  ProofBook book;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::size_t before = book.held();
    const auto taken = book.take(rest.substr(0, end));
    if (!taken) {
      require(!taken.error().text.empty() && book.held() == before);
    } else {
      require(book.held() <= before + ProofBook::kMostAddressesOfLine);
      require(taken->position.find_first_not_of("0123456789-") == taken->position.npos);
      require(taken->pod.find_first_of(" \r\n") == taken->pod.npos);
    }
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
  }
  return 0;
}
