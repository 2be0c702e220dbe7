// Sends capture streams to those who are connected: each has a capture of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/interruption.h"
#include "shared/async/waiting.h"
#include "shared/net/unique_fd.h"
#include "shared/telemetry/log_throttle.h"
#include "sidecar/delivery/output_options.h"
#include "sidecar/delivery/stream_delivery.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// Why a stream ended.
struct StreamEnd {
  std::string_view cause;  ///< As in the metric.
  std::string reason;
};

/// Somebody who is connected.
struct StreamReader {
  StreamReader(std::string the_name, std::string the_key)
      : name(std::move(the_name)), key(std::move(the_key)) {}
  const std::string name;
  const std::string key;  ///< Of its capture.
  async::Interruption waiting;
  std::optional<std::uint64_t> capture;
  bool begun = false;  ///< Packets are sent from now on.
  std::optional<StreamEnd> end;
};

/// Of one delivery. Use it on the control thread.
class StreamSender {
 public:
  /// What is referred to must outlive the tasks that call serve(). `changed` is called when a
  /// reader's `begun` has changed.
  StreamSender(boost::asio::any_io_executor executor, const StreamOptions& options,
               const StreamParts& parts, CaptureLoop& loop, std::uint64_t stage,
               std::function<void()> changed)
      : executor_(std::move(executor)),
        options_(options),
        parts_(parts),
        loop_(loop),
        stage_(stage),
        changed_(std::move(changed)) {}

  /// Sends the stream, over a connected socket, until the reader has gone or the sender stops. The
  /// capture has ended then.
  boost::asio::awaitable<void> serve(std::shared_ptr<StreamReader> reader, net::UniqueFd socket);
  /// For a reader whose task may have ended anywhere: ends its capture without waiting.
  void abandon(StreamReader& reader);
  /// Logs and counts the end of a stream that has one.
  void note_end(const StreamReader& reader);
  /// Every serve() ends whose reader's wait is ended.
  void stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }

 private:
  std::unique_ptr<forwarding::Output> make_output(const std::shared_ptr<StreamReader>& reader,
                                                  net::UniqueFd socket);
  boost::asio::awaitable<void> await_end(StreamReader& reader, async::AsyncFd& connection);
  void set_begun(StreamReader& reader, bool begun);

  boost::asio::any_io_executor executor_;
  const StreamOptions& options_;
  const StreamParts& parts_;
  CaptureLoop& loop_;
  const std::uint64_t stage_;
  const std::function<void()> changed_;
  telemetry::LogThrottle log_throttle_{20, std::chrono::minutes(1)};
  bool stopping_ = false;
};

}  // namespace sidetap
