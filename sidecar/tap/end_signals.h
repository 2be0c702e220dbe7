// Follows SIGTERM and SIGINT: the first one ends the program in good order, and each later one ends
// what the program still waits for meanwhile.
#pragma once

#include <functional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/signal_set.hpp>

namespace sidetap {

/// Use it on the control thread's strand. Logs each signal.
class EndSignals {
 public:
  EndSignals(boost::asio::any_io_executor executor, std::function<void()> end,
             std::function<void()> hurry);

  void start() { wait(); }
  /// From now on, a signal calls nothing, and does not kill the program either.
  void stop();

 private:
  void wait();

  boost::asio::signal_set signals_;
  std::function<void()> end_;
  std::function<void()> hurry_;
  bool ending_ = false;
  bool stopped_ = false;
};

}  // namespace sidetap
