// Kubernetes manifests as text: a stream of documents, YAML or JSON, read as kubectl reads them.
//
// kubectl cuts the text at lines that begin with "---" before YAML sees it, takes what begins with
// a brace for JSON first, and reads each YAML document with a port of libyaml and the types of YAML
// 1.1. This reader builds on libyaml's events and does the same; tests/oracle compares the two.
// Where they differ, this one refuses:
//   - text that is not UTF-8 or UTF-16 (kubectl puts U+FFFD there)
//   - more than kMaxDepth levels, kMaxValues values or kMaxRepeated bytes that aliases repeat
//   - a key that JSON has not (null), also in a mapping that a later value of the same key replaces
//   - in flow style, "x:" before one of ",[]{}", and a tag with one of ",[]" in it or behind it
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"
#include "shared/yaml/tree.h"

namespace sidetap::yaml {

/// What becomes of a key that stands twice in a mapping.
enum class Repeated : bool {
  kLast,    ///< The last one counts, as for kubectl.
  kRefuse,  ///< It is a fault. What "<<" merges may still repeat a key.
};

/// The line of every key, by its path: "sidecar.resources", "taps[1].name". Keys that an alias
/// repeats are not among them.
using Lines = std::map<std::string, std::size_t>;

struct Document {
  Tree tree = {};          ///< Null: empty. With a fault: what was read before it, to name it by.
  std::size_t line = 1;    ///< Of the text, where the document begins.
  std::string fault = {};  ///< Why it cannot be read, with the line; empty: it can.
  std::string text = {};   ///< Of a document with a fault, as it stands; ends in a line end.
};

struct Documents {
  std::vector<Document> all;
  bool json = false;  ///< Each is JSON.
};

/// Cuts and reads `text`. Error: it is no text at all. `lines`, if given, gets those of all
/// documents.
Result<Documents> read_documents(std::string_view text, Repeated repeated, Lines* lines = nullptr);

}  // namespace sidetap::yaml
