// The running captures, and the counts of those that have ended. For the packet path's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/capture/packet_source.h"
#include "sidecar/forwarding/forwarder.h"
#include "sidecar/path/capture_counts.h"
#include "sidecar/path/pipeline.h"

namespace sidetap {

/// Totals of all captures so far, without copies.
struct CaptureTotals : CaptureCounts {
  /// Of the sensors that are or were counted individually, each once, in the order in which they
  /// came. A former one keeps its last counts.
  std::vector<SensorCounts> sensors;
  CaptureCounts copies;      ///< Of clients that get copies.
  std::size_t captures = 0;  ///< That run, of any stage.

  /// Null if this sensor is not counted individually.
  const SensorCounts* find(const std::string& sensor) const;
  SensorCounts* find(const std::string& sensor);
};

class CaptureRegister {
 public:
  struct Capture {
    std::shared_ptr<forwarding::Forwarder> forwarder;
    std::string key;
    std::uint64_t stage = 0;         ///< See CaptureLoop::advance(). A client's counts for nothing.
    bool client = false;             ///< It connected to the tap.
    Part part = Part::kTaker;        ///< Set when it is added.
    capture::SourceCounts before{};  ///< The source's counts when this capture started.
    CaptureCounts settled{};         ///< As much of its counts is in the totals already.
  };

  /// Beyond so many, sensors are counted only in the totals.
  static constexpr std::size_t kMostSensors = 100;

  /// `sensors` are the keys of captures that are counted individually.
  explicit CaptureRegister(const std::vector<std::string>& sensors) { count_also(sensors); }
  /// Counts these individually too, from now on.
  void count_also(const std::vector<std::string>& sensors);
  /// Adds what a sensor that is counted individually has missed.
  void add_missed(const std::string& sensor, std::uint64_t packets);

  /// `id` must be new.
  void add(std::uint64_t id, Capture capture);
  /// Null if no such capture runs. Valid until the next add() or remove().
  const Capture* find(std::uint64_t id) const;
  /// Removes a capture; its counts stay in the totals. Closes its socket, unless somebody else
  /// holds the forwarder.
  void remove(std::uint64_t id);
  /// What the capture has done until now stays counted as what it was.
  void change_part(std::uint64_t id, Part part);
  CaptureTotals totals() const;
  const std::map<std::uint64_t, Capture>& running() const { return running_; }

 private:
  static void add_counts(const Capture& capture, CaptureTotals& into);

  std::map<std::uint64_t, Capture> running_;
  CaptureTotals ended_;
};

}  // namespace sidetap
