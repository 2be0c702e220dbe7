// Tells when something changes about the interfaces of this network namespace, their addresses or
// its routes (rtnetlink(7)).
#pragma once

#include <functional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/result.h"

namespace sidetap {

/// One strand.
class AddressWatch {
 public:
  /// `changed` is called once for all that has happened since its last call, within milliseconds
  /// and not more often than some fifty times a second. It has to look itself what is different,
  /// which may be nothing.
  AddressWatch(boost::asio::any_io_executor executor, std::function<void()> changed);

  /// From here on no change is missed. Error: the system call's; then `changed` is called once a
  /// second, whether something has changed or not.
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
