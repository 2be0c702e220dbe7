// Reads a whole file without throwing, even while the file is being replaced.
#pragma once

#include <string>

#include "shared/result.h"

namespace sidetap {

/// The file's bytes. Stream iterators would throw when read(2) fails, for example on a folder or a
/// missing disk; here that is an Error that names the file and the system's reason.
Result<std::string> read_file(const std::string& path);

/// The same for a file that holds one value, without the line ends behind it: editors and
/// `kubectl create secret --from-file` add one that is not part of the value.
Result<std::string> read_value(const std::string& path);

}  // namespace sidetap
