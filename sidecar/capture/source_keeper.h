// Decides when to close and reopen the source of one interface, from the state that the kernel
// reports.
//
// A packet socket does not report that its interface was deleted, renamed or moved to another
// network namespace: it just receives no more packets. So the caller checks the interface. A source
// belongs to the interface with the configured name. While that is down or has no carrier, the
// source stays open, because the kernel resumes the capture without losing a packet. Pure: the
// caller supplies the clock and the facts. For one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sidecar/capture/interface_now.h"

namespace sidetap::capture {

/// The state at one moment.
struct SourceSight {
  InterfaceNow interface;  ///< The one with the configured name.
  /// The same as PacketSource::bound_index(). Meaningless without an open source.
  int bound = 0;
  bool outgrown = false;  ///< PacketSource::outgrown_by() is not 0.
  std::string fault{};    ///< Why the source is dead, in its own words. Empty: it is not.
};

/// Whether packets can be captured now.
enum class Condition : std::uint8_t {
  kWorking,
  kNoCarrier,  ///< Open and up, but nothing is at the other end.
  kDown,       ///< Open, but the interface has been set down.
  kMissing,    ///< No interface has the name.
  kClosed,     ///< The interface is there, and could not be opened yet.
};

class SourceKeeper {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  /// Interval of checks, even without a notification of a change.
  static constexpr std::chrono::milliseconds kLookEvery{500};
  /// An interface that is up but cannot be opened for this long is given up.
  static constexpr std::chrono::seconds kPatience{60};

  enum class Step : std::uint8_t {
    kNone,
    kClose,   ///< Close the source; reason() says why. Then call next() again.
    kOpen,    ///< Open the interface, and report with opened() or failed().
    kGiveUp,  ///< kPatience is over. Returned once; kOpen follows at the next check.
  };

  /// Returns the next step for the given state.
  Step next(const SourceSight& sight, TimePoint now);
  void opened();
  void failed(TimePoint now);

  bool is_open() const { return open_; }
  Condition condition() const { return condition_; }
  /// Why the source was last closed. Empty before that.
  const std::string& reason() const { return reason_; }

 private:
  static std::string why_close(const SourceSight& sight);

  bool open_ = false;
  bool up_ = false;  // as last seen
  Condition condition_ = Condition::kClosed;
  std::string reason_;
  std::optional<TimePoint> failing_since_;
  bool given_up_ = false;
};

/// One sentence for the log; a static string.
std::string_view condition_text(Condition condition);

}  // namespace sidetap::capture
