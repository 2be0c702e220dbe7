// A file, whole: what is followed while it is replaced must never throw, whatever is found there.
#pragma once

#include <string>

#include "shared/result.h"

namespace sidetap {

/// The file's bytes. A stream's iterators would throw where read(2) fails, as it does of a folder
/// or of a disk that is gone; here that is an error, which names the file and the system's reason.
Result<std::string> read_file(const std::string& path);

}  // namespace sidetap
