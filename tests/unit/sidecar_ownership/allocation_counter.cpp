#include "tests/unit/sidecar_ownership/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include <malloc.h>

namespace {
std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> bytes{0};

void release(void* memory) {
  bytes -= malloc_usable_size(memory);
  std::free(memory);
}
}  // namespace

namespace sidetap::test {
std::size_t allocation_count() { return allocations; }
std::size_t allocated_bytes() { return bytes; }
}  // namespace sidetap::test

// In a file of its own, so that nothing of it is inlined on one side only.
void* operator new(std::size_t size) {
  ++allocations;
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  bytes += malloc_usable_size(memory);
  return memory;
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
