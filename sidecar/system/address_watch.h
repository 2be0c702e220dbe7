// Reports changes to the interfaces, addresses or routes of this network namespace (rtnetlink(7)).
#pragma once

#include <functional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/result.h"

namespace sidetap {

/// Use it on one strand.
class AddressWatch {
 public:
  /// Calls `changed` once for everything since its last call, within milliseconds and at most about
  /// fifty times a second. The callback must check what has changed, which may be nothing.
  AddressWatch(boost::asio::any_io_executor executor, std::function<void()> changed);

  /// Starts the watch; from here on, no change is missed. Error: that of the system call. `changed`
  /// is then called once a second, whether or not something has changed.
  Result<void> start();
  void stop();

 private:
  Result<void> listen();
  void wait();
  void look_each_second();
  bool drain();

  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer pause_;
  std::function<void()> changed_;
};

}  // namespace sidetap
