#include "sidecar/system/scheduling.h"

#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

namespace sidetap {
namespace {

// The first version of struct sched_attr (linux/sched/types.h), which the C library does not
// declare.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime_ns;
  std::uint64_t deadline_ns;
  std::uint64_t period_ns;
};

constexpr std::uint64_t kSlice = 200'000;  // ns; a batch takes about a tenth of it

}  // namespace

void ask_for_short_slices() {
  SchedulingAttributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  attributes.runtime_ns = kSlice;
  (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace sidetap
