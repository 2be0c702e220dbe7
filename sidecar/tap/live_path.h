// The packet path of one interface and its delivery, which can be replaced while the tap runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "sidecar/delivery/delivery.h"
#include "sidecar/options/options.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// Makes the delivery that `options` ask for. Its captures belong to `stage`.
using MakeDelivery =
    std::function<std::unique_ptr<Delivery>(const RunOptions& options, std::uint64_t stage)>;

/// Use it on the control thread.
class LivePath {
 public:
  /// How long the former sensors get the packets while the new ones are not all there.
  static constexpr std::chrono::milliseconds kPatience{30'000};

  /// `changed` is called when ready(), forwarding() or sensors() may have changed.
  LivePath(boost::asio::any_io_executor executor, std::unique_ptr<CaptureLoop> loop,
           MakeDelivery make, std::function<void()> changed,
           std::chrono::milliseconds patience = kPatience);
  /// Call it after stop(), or when the executor no longer runs.
  ~LivePath();
  LivePath(const LivePath&) = delete;
  LivePath& operator=(const LivePath&) = delete;

  /// Starts the first delivery. Error: the configuration can never work.
  Result<void> start(const RunOptions& options);
  /// Passes to the sensors, mode and output of these options, and does nothing if they are those in
  /// force. The new delivery captures before the old one ends, and the loop passes from one to the
  /// other between two packets, so that none is lost or doubled. Until the new one forwards, the
  /// old one goes on, but for at most kPatience; one whose sensors all are gone ends at once, and
  /// what comes meanwhile waits in the backlog. A later call replaces one that is still under way.
  /// The narrowing of the options applies from then on, and at once if the sensors stay or it
  /// pauses. Error: the new delivery cannot start; what is in force stays.
  Result<void> follow(const RunOptions& options);
  /// As of Delivery, for every one of them.
  void dial_soon();
  /// Ends every delivery, as Delivery::stop(). Later calls of follow() do nothing.
  boost::asio::awaitable<void> stop();

  CaptureLoop& loop() { return *loop_; }
  const CaptureLoop& loop() const { return *loop_; }
  bool ready() const;
  /// Whether packets captured now reach the sensors.
  bool forwarding() const;
  /// Of the delivery in force and, while it is under way, of the next one.
  std::vector<registry::SensorReport> sensors() const;

 private:
  struct Impl;
  std::unique_ptr<CaptureLoop> loop_;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
