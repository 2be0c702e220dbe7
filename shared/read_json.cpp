#include "shared/read_json.h"

#include <string>

namespace sidetap {

bool nests_deeper(std::string_view text, std::size_t most) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > most) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

Result<nlohmann::json> read_json(std::string_view text) {
  if (nests_deeper(text, kMostJsonDepth)) {
    return Error{"nested deeper than " + std::to_string(kMostJsonDepth) + " levels"};
  }
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) return Error{"not JSON"};
  return json;
}

}  // namespace sidetap
