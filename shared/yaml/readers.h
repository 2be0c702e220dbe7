// One document of a stream, cut out of it.
#pragma once

#include <cstddef>
#include <string>

#include "shared/yaml/documents.h"

namespace sidetap::yaml {

/// What a reader needs to know besides the text.
struct Reading {
  std::size_t line = 1;  ///< Of the stream, where the document begins.
  Repeated repeated = Repeated::kLast;
  Lines* lines = nullptr;  ///< Gets those of the document's keys; null: nobody asks.
};

/// YAML. What follows the end of the document is not looked at.
Document read_yaml(std::string text, const Reading& reading);

/// One JSON value. A surrogate without its partner becomes U+FFFD. `is_json`: false when the fault
/// is that the text is none.
Document read_json(std::string text, const Reading& reading, bool& is_json);

}  // namespace sidetap::yaml
