#include "sidecar/forwarding/backlog.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <sys/mman.h>

namespace sidetap::forwarding {
namespace {

// That of a huge page: a burst then costs a page fault for each of these instead of 512.
constexpr std::size_t kLargeChunk = 2U << 20;
// A chunk is used again when all of it has left, so a small backlog has small ones; the common
// packets have to fit.
constexpr std::size_t kSmallestChunk = 128U << 10;
constexpr std::size_t kFewestChunks = 8;
constexpr std::size_t kAlignment = 8;

std::size_t chunk_bytes_for(std::size_t capacity) {
  return std::min(capacity, std::clamp(capacity / kFewestChunks, kSmallestChunk, kLargeChunk));
}

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

struct Backlog::Record {
  std::uint32_t captured;
  std::uint32_t length;
  std::uint32_t seconds;
  std::uint32_t nanoseconds;
  std::uint32_t origin;
  capture::Offload offload;
  bool alone;
};

Backlog::Backlog(std::size_t capacity) : chunk_bytes_(chunk_bytes_for(capacity)) {
  if (capacity == 0) return;
  const std::size_t count = capacity / chunk_bytes_;
  mapped_bytes_ = count * chunk_bytes_ + kLargeChunk;
  mapping_ = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) {
    mapping_ = nullptr;  // no address space: what cannot leave at once is dropped, and counted
    return;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(mapping_);
  std::byte* const first =
      static_cast<std::byte*>(mapping_) + (kLargeChunk - address % kLargeChunk) % kLargeChunk;
  if (chunk_bytes_ == kLargeChunk) madvise(first, count * chunk_bytes_, MADV_HUGEPAGE);
  for (std::size_t i = count; i != 0; --i) untouched_.push_back(first + (i - 1) * chunk_bytes_);
  free_.reserve(count);
}

Backlog::~Backlog() {
  if (mapping_ != nullptr) munmap(mapping_, mapped_bytes_);
}

/// The one that was used last is the likeliest to be in the processor's cache.
bool Backlog::begin_chunk() {
  std::vector<std::byte*>& from = free_.empty() ? untouched_ : free_;
  if (from.empty()) return false;
  chunks_.push_back({from.back(), 0});
  from.pop_back();
  return true;
}

bool Backlog::keep(const capture::CapturedPacket& packet, bool alone) {
  const std::size_t size = aligned(sizeof(Record) + packet.bytes.size());
  if (size > chunk_bytes_) return false;
  if (chunks_.empty() || chunk_bytes_ - chunks_.back().end < size) {
    if (!begin_chunk()) return false;
  }
  Chunk& chunk = chunks_.back();
  const Record record{static_cast<std::uint32_t>(packet.bytes.size()),
                      packet.length,
                      packet.seconds,
                      packet.nanoseconds,
                      packet.origin,
                      packet.offload,
                      alone};
  std::memcpy(chunk.memory + chunk.end, &record, sizeof record);
  if (!packet.bytes.empty())
    std::memcpy(chunk.memory + chunk.end + sizeof record, packet.bytes.data(), packet.bytes.size());
  chunk.end += size;
  used_ += size;
  ++packets_;
  return true;
}

Backlog::Kept Backlog::oldest() const {
  const std::byte* const at = chunks_.front().memory + begin_;
  Record record;
  std::memcpy(&record, at, sizeof record);
  Kept kept;
  kept.packet.bytes = {at + sizeof record, record.captured};
  kept.packet.length = record.length;
  kept.packet.seconds = record.seconds;
  kept.packet.nanoseconds = record.nanoseconds;
  kept.packet.offload = record.offload;
  kept.packet.origin = record.origin;
  kept.alone = record.alone;
  return kept;
}

void Backlog::drop_oldest() {
  const std::size_t size = aligned(sizeof(Record) + oldest().packet.bytes.size());
  begin_ += size;
  used_ -= size;
  --packets_;
  if (begin_ != chunks_.front().end) return;
  // Of a chunk that is being filled too: what comes next finds it warm and empty.
  free_.push_back(chunks_.front().memory);
  chunks_.pop_front();
  begin_ = 0;
}

void Backlog::trim() {
  for (std::byte* const memory : free_) {
    madvise(memory, chunk_bytes_, MADV_DONTNEED);
    untouched_.push_back(memory);
  }
  free_.clear();
}

}  // namespace sidetap::forwarding
