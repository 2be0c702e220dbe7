// Notices a capture thread that hangs, for /healthz and for the log.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sidecar/path/capture_loop.h"
#include "sidecar/tap/heartbeat.h"

namespace sidetap {

/// Use it on the control thread's strand.
class ThreadWatch {
 public:
  explicit ThreadWatch(boost::asio::any_io_executor executor, HeartbeatConfig config = {})
      : timer_(executor), config_(config) {}

  /// Looks every few seconds from now on. `loops` run, and must outlive this object.
  void start(const std::vector<CaptureLoop*>& loops);
  /// A look that is due already does not begin the next one.
  void stop() {
    rows_.clear();
    timer_.cancel();
  }
  /// Only start() need call it, and tests. Of a thread that has made no turn since the last look,
  /// asks one.
  void look(Heartbeat::Time now);
  /// Which threads hang, in one line. Empty: none.
  std::string fault() const;

 private:
  struct Row {
    CaptureLoop* loop;
    Heartbeat heartbeat;
  };
  void look_again();
  void look_at(Row& row, Heartbeat::Time now);

  boost::asio::steady_timer timer_;
  HeartbeatConfig config_;
  std::vector<Row> rows_;
};

}  // namespace sidetap
