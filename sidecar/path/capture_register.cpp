#include "sidecar/path/capture_register.h"

#include <utility>

namespace sidetap {

const SensorCounts* CaptureTotals::find(const std::string& sensor) const {
  for (const SensorCounts& each : sensors) {
    if (each.sensor == sensor) return &each;
  }
  return nullptr;
}

SensorCounts* CaptureTotals::find(const std::string& sensor) {
  for (SensorCounts& each : sensors) {
    if (each.sensor == sensor) return &each;
  }
  return nullptr;
}

void CaptureRegister::count_also(const std::vector<std::string>& sensors) {
  for (const std::string& sensor : sensors) {
    if (ended_.find(sensor) != nullptr || ended_.sensors.size() >= kMostSensors) continue;
    ended_.sensors.emplace_back().sensor = sensor;
  }
}

void CaptureRegister::add_missed(const std::string& sensor, std::uint64_t packets) {
  if (SensorCounts* const counts = ended_.find(sensor)) counts->missed += packets;
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

void CaptureRegister::change_part(std::uint64_t id, Part part) {
  const auto found = running_.find(id);
  if (found == running_.end() || found->second.part == part) return;
  add_counts(found->second, ended_);
  found->second.settled = counts_of(*found->second.forwarder);
  found->second.part = part;
}

CaptureTotals CaptureRegister::totals() const {
  CaptureTotals totals = ended_;
  for (const auto& [id, capture] : running_) add_counts(capture, totals);
  totals.captures = running_.size();
  return totals;
}

void CaptureRegister::add_counts(const Capture& capture, CaptureTotals& into) {
  CaptureCounts counts = counts_of(*capture.forwarder);
  counts -= capture.settled;
  if (capture.part == Part::kCopy) {
    into.copies += counts;
    return;
  }
  into += counts;
  if (SensorCounts* const sensor = into.find(capture.key)) *sensor += counts;
}

}  // namespace sidetap
