// What `explain` prints: text in columns, or JSON lines.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/ownership/engine.h"
#include "sidecar/packet/captured_packet.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap {

/// Nothing: the operator's filter refuses the packet, so a tap never sees it.
using Explanation = std::optional<ownership::Decision>;

struct ExplainTotals {
  std::uint64_t packets = 0;
  std::uint64_t owned = 0;
  std::uint64_t filtered = 0;
  /// [rule][owned]
  std::array<std::array<std::uint64_t, 2>, ownership::kRuleCount> by_rule{};

  void count(const Explanation& explanation);
  std::uint64_t not_owned() const { return packets - owned - filtered; }
};

/// Nanoseconds since 1970.
std::int64_t time_of(const capture::CapturedPacket& packet);

class ExplainReport {
 public:
  virtual ~ExplainReport() = default;
  /// `since_first` is in nanoseconds.
  virtual void packet(std::uint64_t number, std::int64_t since_first,
                      const capture::CapturedPacket& packet, const capture::PacketView& view,
                      const Explanation& explanation) = 0;
  virtual void summary(const ExplainTotals& totals, const std::vector<std::string>& assumed) = 0;
};

/// `out` must outlive the report.
std::unique_ptr<ExplainReport> make_explain_report(bool json, std::ostream& out);

}  // namespace sidetap
