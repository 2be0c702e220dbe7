// Tells each capture when the maximum packet length of its interface grows (BIG TCP).
//
// The kernel sends no notification when gso_max_size is set (rtnetlink(7)), so this class polls
// once a second.
#pragma once

#include <cstdint>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// Use it on the control thread's strand.
class LongestPacketWatch {
 public:
  explicit LongestPacketWatch(boost::asio::any_io_executor executor) : timer_(executor) {}

  /// `loops` must outlive this object.
  void start(const std::vector<CaptureLoop*>& loops);
  void stop() { timer_.cancel(); }

 private:
  struct Row {
    CaptureLoop* loop;
    std::uint32_t longest = 0;  ///< Bytes, as the loop was told.
  };
  void look();

  boost::asio::steady_timer timer_;
  std::vector<Row> rows_;
};

}  // namespace sidetap
