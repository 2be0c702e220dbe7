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
  std::vector<CaptureCounts> sensors;  ///< Of the sensors that are counted individually.
  CaptureCounts copies;                ///< Of clients that get copies.
  std::size_t captures = 0;            ///< That run.
};

class CaptureRegister {
 public:
  struct Capture {
    std::shared_ptr<forwarding::Forwarder> forwarder;
    std::string key;
    Part part = Part::kTaker;
    capture::SourceCounts before{};  ///< The source's counts when this capture started.
  };

  /// `sensors` are the keys of captures that are counted individually.
  explicit CaptureRegister(std::vector<std::string> sensors);

  /// `id` must be new.
  void add(std::uint64_t id, Capture capture);
  /// Null if no such capture runs. Valid until the next add() or remove().
  const Capture* find(std::uint64_t id) const;
  /// Removes a capture; its counts stay in the totals. Closes its socket, unless somebody else
  /// holds the forwarder.
  void remove(std::uint64_t id);
  CaptureTotals totals() const;

 private:
  void add_counts(const Capture& capture, CaptureTotals& into) const;

  const std::vector<std::string> sensors_;
  std::map<std::uint64_t, Capture> running_;
  CaptureTotals ended_;
};

}  // namespace sidetap
