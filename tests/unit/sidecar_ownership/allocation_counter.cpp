#include "tests/unit/sidecar_ownership/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::size_t> allocations{0};
}

namespace sidetap::test {
std::size_t allocation_count() { return allocations; }
}  // namespace sidetap::test

// In a file of its own, so that nothing of it is inlined on one side only.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
