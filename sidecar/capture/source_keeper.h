// Decides when to close and reopen the source of one interface, from the state that the kernel
// reports.
//
// A packet socket does not tell by itself that its interface has been deleted, renamed or moved to
// another network namespace: it only gets no packets any more. So the interface is looked at. An
// interface belongs to the source by its name; while it is down or has no carrier the source stays
// open, since the kernel resumes the capture without losing a packet. Decides only: the clock and
// the facts come from outside. One thread.
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
  InterfaceNow interface;  ///< That has the configured name.
  /// As PacketSource::bound_index(). Without an open source it means nothing.
  int bound = 0;
  bool outgrown = false;  ///< PacketSource::outgrown_by() says so.
  std::string fault{};    ///< The source itself says why it is dead. Empty: it does not.
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
  /// Looked at so often even when nobody tells that something has changed.
  static constexpr std::chrono::milliseconds kLookEvery{500};
  /// An interface that is up and cannot be opened for so long is given up.
  static constexpr std::chrono::seconds kPatience{60};

  enum class Step : std::uint8_t {
    kNone,
    kClose,   ///< Close the source; reason() says why. Then ask again at once.
    kOpen,    ///< Open the interface, and tell by opened() or failed().
    kGiveUp,  ///< kPatience is over. Said once; kOpen comes again with the next look.
  };

  /// What is to be done about what is seen.
  Step next(const SourceSight& sight, TimePoint now);
  void opened();
  void failed(TimePoint now);

  bool is_open() const { return open_; }
  Condition condition() const { return condition_; }
  /// Why the source was closed last. Empty before.
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
