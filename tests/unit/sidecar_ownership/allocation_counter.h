// Replaces the program's operator new by one that counts.
#pragma once

#include <cstddef>

namespace sidetap::test {

/// Since the program began.
std::size_t allocation_count();
/// Bytes that are allocated now.
std::size_t allocated_bytes();

}  // namespace sidetap::test
