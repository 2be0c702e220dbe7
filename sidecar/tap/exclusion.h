// Keeps connections out of the captures of all interfaces: those of this tap, for any interface and
// session, and those of every other tap of the pod.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sidecar/options/options.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/system/port_marks.h"

namespace sidetap {

/// The most connections that a tap has at one time, including those that it has just closed. While
/// it passes to other sensors, by the registry's word or in hash mode, it has those of both.
std::size_t most_connections(const RunOptions& options, std::size_t interfaces);

/// Use it on the control thread.
class Exclusion {
 public:
  /// `sockets` is the number of connections that can be marked for other taps. Opens packet
  /// sockets: call it before the tap drops that right.
  Exclusion(const boost::asio::any_io_executor& executor, std::size_t sockets)
      : marks_(sockets), timer_(executor) {}

  /// Adds a capture to those that exclude() updates.
  void add(CaptureLoop& loop) { loops_.push_back(&loop); }
  /// Looks for other taps now and then twice a second.
  void watch();
  void stop();

  /// Like session::CaptureControl::exclude_own_traffic(), but for every interface, and visible to
  /// the other taps of the pod.
  std::chrono::milliseconds exclude(const std::string& owner,
                                    const std::vector<capture::OwnEndpoint>& endpoints);

 private:
  void look();
  void look_again();

  PortMarks marks_;
  boost::asio::steady_timer timer_;
  std::vector<CaptureLoop*> loops_;
  PortMarks::Others others_;
  bool warned_ = false;
};

}  // namespace sidetap
