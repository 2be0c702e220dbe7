#include "sidecar/path/capture_counts.h"

#include <iterator>
#include <numeric>

namespace sidetap {

CaptureCounts counts_of(const forwarding::Forwarder& forwarder) {
  const forwarding::OutputCounts& output = forwarder.output().counts();
  CaptureCounts counts;
  counts.forwarded = output.forwarded.value();
  counts.bytes = output.bytes.value();
  counts.datagrams = output.datagrams.value();
  counts.truncated = output.truncated.value();
  counts.filtered = forwarder.counts().filtered.value();
  counts.sampled = forwarder.counts().sampled.value();
  counts.segments = forwarder.counts().segments.value();
  for (unsigned i = 0; i < forwarding::kDropCauseCount; ++i)
    counts.dropped[i] = output.dropped[i].value();
  return counts;
}

std::uint64_t CaptureCounts::dropped_total() const {
  return std::accumulate(std::begin(dropped), std::end(dropped), std::uint64_t{0});
}

CaptureCounts& CaptureCounts::operator+=(const CaptureCounts& other) {
  forwarded += other.forwarded;
  bytes += other.bytes;
  datagrams += other.datagrams;
  filtered += other.filtered;
  sampled += other.sampled;
  segments += other.segments;
  truncated += other.truncated;
  for (unsigned i = 0; i < forwarding::kDropCauseCount; ++i) dropped[i] += other.dropped[i];
  missed += other.missed;
  return *this;
}

CaptureCounts& CaptureCounts::operator-=(const CaptureCounts& earlier) {
  forwarded -= earlier.forwarded;
  bytes -= earlier.bytes;
  datagrams -= earlier.datagrams;
  filtered -= earlier.filtered;
  sampled -= earlier.sampled;
  segments -= earlier.segments;
  truncated -= earlier.truncated;
  for (unsigned i = 0; i < forwarding::kDropCauseCount; ++i) dropped[i] -= earlier.dropped[i];
  missed -= earlier.missed;
  return *this;
}

}  // namespace sidetap
