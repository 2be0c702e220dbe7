// Readers for one document of a stream.
#pragma once

#include <cstddef>
#include <string>

#include "shared/yaml/documents.h"

namespace sidetap::yaml {

/// What a reader needs besides the text.
struct Reading {
  std::size_t line = 1;  ///< Line of the stream at which the document begins.
  Repeated repeated = Repeated::kLast;
  Lines* lines = nullptr;  ///< Receives the lines of the document's keys. May be null.
};

/// Reads YAML. Ignores what follows the end of the document.
Document read_yaml(std::string text, const Reading& reading);

/// Reads one JSON value. A lone surrogate becomes U+FFFD. Sets `is_json` to false if the fault is
/// that the text is not JSON.
Document read_json(std::string text, const Reading& reading, bool& is_json);

}  // namespace sidetap::yaml
