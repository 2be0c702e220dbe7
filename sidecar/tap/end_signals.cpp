#include "sidecar/tap/end_signals.h"

#include <csignal>
#include <cstring>
#include <utility>

#include "shared/telemetry/log.h"

namespace sidetap {

EndSignals::EndSignals(boost::asio::any_io_executor executor, std::function<void()> end,
                       std::function<void()> hurry)
    : signals_(executor, SIGTERM, SIGINT), end_(std::move(end)), hurry_(std::move(hurry)) {}

void EndSignals::stop() {
  stopped_ = true;
  signals_.cancel();
}

void EndSignals::wait() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    // One that came before stop() may still be on its way here.
    if (error || stopped_) return;
    const bool again = std::exchange(ending_, true);
    telemetry::info(again ? "stopping without waiting any longer" : "stopping",
                    {{"signal", strsignal(signal)}});
    wait();
    (again ? hurry_ : end_)();
  });
}

}  // namespace sidetap
