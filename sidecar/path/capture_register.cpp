#include "sidecar/path/capture_register.h"

#include <algorithm>
#include <utility>

namespace sidetap {

CaptureRegister::CaptureRegister(std::vector<std::string> sensors) : sensors_(std::move(sensors)) {
  ended_.sensors.resize(sensors_.size());
}

void CaptureRegister::add(std::uint64_t id, Capture capture) {
  running_.emplace(id, std::move(capture));
}

const CaptureRegister::Capture* CaptureRegister::find(std::uint64_t id) const {
  const auto found = running_.find(id);
  return found == running_.end() ? nullptr : &found->second;
}

void CaptureRegister::remove(std::uint64_t id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  add_counts(found->second, ended_);
  running_.erase(found);
}

CaptureTotals CaptureRegister::totals() const {
  CaptureTotals totals = ended_;
  for (const auto& [id, capture] : running_) add_counts(capture, totals);
  totals.captures = running_.size();
  return totals;
}

void CaptureRegister::add_counts(const Capture& capture, CaptureTotals& into) const {
  const CaptureCounts counts = counts_of(*capture.forwarder);
  if (capture.part == Part::kCopy) {
    into.copies += counts;
    return;
  }
  into += counts;
  const auto sensor = std::find(sensors_.begin(), sensors_.end(), capture.key);
  if (sensor != sensors_.end())
    into.sensors[static_cast<std::size_t>(sensor - sensors_.begin())] += counts;
}

}  // namespace sidetap
