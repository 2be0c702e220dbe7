// Keeps the packet source of one interface across closing and reopening, and sums what the sources
// counted.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/telemetry/metrics.h"
#include "sidecar/capture/device.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/capture/source_keeper.h"

namespace sidetap {

/// After this many packets, the reader checks the clock and its commands.
inline constexpr std::size_t kPacketsPerRead = 256;

/// Use it on the packet path, except for members that are marked "any thread".
class SourceSlot {
 public:
  using Clock = std::chrono::steady_clock;
  /// What has changed: the source was closed or opened, or is_working() has changed.
  enum class Change : std::uint8_t { kNone, kClosed, kOpened, kCondition, kGivenUp };

  /// `config` excludes the filter; see set_filter().
  SourceSlot(std::string interface, capture::DeviceConfig config,
             std::unique_ptr<capture::Device> device);

  /// Checks the interface and performs one step. Call it until it returns kNone. Passes the
  /// remaining packets of a source that it closes to `handler`. Logs what it does.
  Change look(capture::PacketHandler& handler);
  /// When to call look() again; at once if read() has found that the source is dead.
  Clock::time_point next_look() const { return next_look_; }
  void look_soon() { next_look_ = {}; }

  /// The same as PacketSource::read(), but 0 without a source.
  std::size_t read(capture::PacketHandler& handler, std::size_t most);
  /// As of PacketSource.
  bool is_filling() const { return source_ && source_->is_filling(); }
  /// Reads what was captured up to now, for a tenth of a second at most.
  void drain(capture::PacketHandler& handler);
  /// Applies from now on, and to every source that is opened later, but only for links of this
  /// type.
  void set_filter(std::vector<capture::BpfInstruction> program, capture::LinkType link);
  /// Captures nothing from now on, whatever set_filter() says later; what has passed can be read.
  void end_capture();
  /// Announces packets of up to `longest` bytes.
  void expect(std::size_t longest);
  /// Of all sources.
  capture::SourceCounts counts();
  /// Poll it for reading. -1: there is no source.
  int descriptor() const { return source_ ? source_->descriptor() : -1; }

  // Any thread.
  bool is_open() const { return is_open_.load(std::memory_order_relaxed); }
  /// Whether the source is open and packets can pass the interface.
  bool is_working() const { return is_working_.load(std::memory_order_relaxed); }
  capture::LinkType link_type() const { return link_.load(std::memory_order_relaxed); }
  std::uint64_t reopened() const { return reopened_.value(); }
  const std::string& interface() const { return interface_; }

  /// Why the last attempt to open the interface failed.
  const std::string& open_error() const { return open_error_; }
  /// The link layer that the filter is built for.
  capture::LinkType filter_link() const { return config_.filter_link; }

 private:
  capture::SourceSight see();
  Change open(Clock::time_point now);
  void close(capture::PacketHandler& handler);
  std::uint64_t unread(std::uint64_t accepted);
  Change publish();
  void stop_capture();

  std::string interface_;
  capture::DeviceConfig config_;
  std::unique_ptr<capture::Device> device_;
  capture::SourceKeeper keeper_;
  std::unique_ptr<capture::PacketSource> source_;
  std::vector<capture::BpfInstruction> program_;
  std::string fault_;             // of the source, once it is dead
  std::string open_error_;        // said in the log
  std::uint64_t read_ = 0;        // packets of this source
  capture::SourceCounts closed_;  // of the sources that are no more
  bool ever_open_ = false;
  bool ended_ = false;
  capture::Condition condition_ = capture::Condition::kClosed;  // said in the log
  Clock::time_point next_look_;
  telemetry::HotCounter reopened_;
  std::atomic<bool> is_open_{false};
  std::atomic<bool> is_working_{false};
  std::atomic<capture::LinkType> link_{capture::LinkType::kEthernet};
};

}  // namespace sidetap
