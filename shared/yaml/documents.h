// Reads Kubernetes manifests as kubectl does: a stream of documents in YAML or JSON.
//
// kubectl splits the text at lines that begin with "---" before it parses YAML, tries text that
// begins with a brace as JSON first, and reads each YAML document with a port of libyaml and the
// types of YAML 1.1. This reader does the same with libyaml's events; tests/oracle compares the
// two. Where they differ, this reader refuses:
//   - text that is not UTF-8 or UTF-16 (kubectl puts U+FFFD there)
//   - more than kMaxDepth levels, kMaxValues values or kMaxRepeated bytes of text from aliases
//   - a key that JSON does not allow (null), even in a mapping that a later value of the same key
//     replaces
//   - in flow style, "x:" before one of ",[]{}", and a tag that contains or precedes one of ",[]"
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"
#include "shared/yaml/tree.h"

namespace sidetap::yaml {

/// How to treat a key that occurs twice in a mapping.
enum class Repeated : bool {
  kLast,    ///< The last one counts, as in kubectl.
  kRefuse,  ///< A fault. Values merged with "<<" may still repeat a key.
};

/// The line of every key, by its path: "sidecar.resources", "taps[1].name". Excludes keys that an
/// alias repeats.
using Lines = std::map<std::string, std::size_t>;

struct Document {
  Tree tree = {};  ///< Null: empty. With a fault: what was read before it, to name the document.
  std::size_t line = 1;    ///< Line of the text at which the document begins.
  std::string fault = {};  ///< Why it cannot be read, with the line. Empty: none.
  std::string text = {};   ///< Only with a fault: the original text, with a final newline.
};

struct Documents {
  std::vector<Document> all;
  bool json = false;  ///< All documents are JSON.
};

/// Splits and reads `text`. Error: it is not text at all. `lines`, if given, receives the lines of
/// all documents.
Result<Documents> read_documents(std::string_view text, Repeated repeated, Lines* lines = nullptr);

}  // namespace sidetap::yaml
