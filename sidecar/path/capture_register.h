// The captures that run, and what became of the packets of those that have ended. The packet path.
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

/// Of all captures that there were, copies aside.
struct CaptureTotals : CaptureCounts {
  std::vector<CaptureCounts> sensors;  ///< Of those that are counted one by one.
  CaptureCounts copies;                ///< Of clients that look on.
  std::size_t captures = 0;            ///< That run.
};

class CaptureRegister {
 public:
  struct Capture {
    std::shared_ptr<forwarding::Forwarder> forwarder;
    std::string key;
    Part part = Part::kTaker;
    capture::SourceCounts before{};  ///< Of all that came before this capture.
  };

  /// `sensors`: keys of captures that are counted one by one.
  explicit CaptureRegister(std::vector<std::string> sensors);

  /// `id` has never been used before.
  void add(std::uint64_t id, Capture capture);
  /// Null: no such capture runs. Valid until the next add() or remove().
  const Capture* find(std::uint64_t id) const;
  /// Its counts stay in the totals. Closes its socket, where nobody else has the forwarder.
  void remove(std::uint64_t id);
  CaptureTotals totals() const;

 private:
  void add_counts(const Capture& capture, CaptureTotals& into) const;

  const std::vector<std::string> sensors_;
  std::map<std::uint64_t, Capture> running_;
  CaptureTotals ended_;
};

}  // namespace sidetap
