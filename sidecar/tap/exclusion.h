// What no interface of this pod captures: the connections of this tap, whichever interface and
// session they belong to, and those of every other tap of the pod.
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

/// How many connections a tap has at one time, those that it has just given up among them.
std::size_t most_connections(const RunOptions& options, std::size_t interfaces);

/// The control thread.
class Exclusion {
 public:
  /// `sockets`: connections that can be told to other taps. Opens packet sockets: call it before
  /// the right to do so is given up.
  Exclusion(const boost::asio::any_io_executor& executor, std::size_t sockets)
      : marks_(sockets), timer_(executor) {}

  /// Those that exclude() reaches from now on.
  void add(CaptureLoop& loop) { loops_.push_back(&loop); }
  /// Looks for other taps now, and twice a second from then on.
  void watch();
  void stop();

  /// As session::CaptureControl::exclude_own_traffic, for every interface, and told to the other
  /// taps of the pod.
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
