// Scalars of YAML 1.1 as kubectl understands them.
//
// kubectl reads manifests with go-yaml 2 and sends the result as JSON. Both steps are here: the
// value of a scalar, and the text that a value becomes as a key.
#pragma once

#include <string>
#include <string_view>

#include "shared/result.h"
#include "shared/yaml/tree.h"

namespace sidetap::yaml {

/// The value of a scalar that is not quoted or has a tag. `tag` is in its long form; empty means
/// none. Errors: the text does not fit its tag.
Result<Tree> resolve(std::string_view tag, const std::string& text);

/// A value as the key of a mapping: 1 is "1", yes is "true", 1e3 is "1000". Errors: JSON does not
/// allow such a key.
Result<std::string> key_text(const Tree& value);

/// The number of a value that keeps its spelling (see Tree).
double number_of(const Tree& spelled);
/// The spelling of such a value.
std::string spelling(const Tree& spelled);

}  // namespace sidetap::yaml
