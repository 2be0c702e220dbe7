// The packet path of one interface, whose sensor is chosen among many in hash mode.
//
// In every other mode it is the LivePath that it owns. In hash mode the configured sensors name
// collectors: a headless Service has an address for each. This class looks the names up again and
// again, asks session::CollectorChoice which address is wanted, and lets the LivePath pass there,
// as it passes to other sensors when the registry says so. So a move is make before break: the new
// session captures, the loop passes from one to the other between two packets, and then the former
// session ends, which sends what is pending. The rest of the program sees one sensor.
//
// Look-ups come every look_up_every, with jitter, and soon after a failure. A name that cannot be
// looked up keeps its addresses. Choosing does not wait for look-ups, however long they take.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/net/host_port.h"
#include "shared/net/ip_address.h"
#include "shared/result.h"
#include "sidecar/session/sockets.h"
#include "sidecar/tap/live_path.h"

namespace sidetap {

struct ChoiceConfig {
  std::string tap{};  ///< As for session::CollectorChoice.
  /// Whether this is an address of the pod. If it is one of the collectors, it is the only one: the
  /// session then finds out that the pod is a sensor itself. Null: none is.
  std::function<bool(const net::IpAddress&)> is_own{};
  /// Looks a name up. Null: by the system. The port is that of the name.
  std::function<boost::asio::awaitable<Result<std::vector<session::Endpoint>>>(net::HostPort)>
      resolve{};
  std::chrono::milliseconds look_up_every{10'000};  ///< Give or take a fifth.
  std::chrono::milliseconds look_up_least{1'000};   ///< From one to the next.
  /// How long one that answers may be without a capture. Less than LivePath::kPatience, after which
  /// the path would pass to it although the present one works.
  std::chrono::milliseconds patience{15'000};
  async::BackoffBounds rest{std::chrono::milliseconds(500), std::chrono::milliseconds(30'000)};
};

/// Use it on the control thread.
class ChosenPath {
 public:
  /// The first arguments are those of LivePath.
  ChosenPath(boost::asio::any_io_executor executor, std::unique_ptr<CaptureLoop> loop,
             MakeDelivery make, std::function<void()> changed, ChoiceConfig config);
  /// Call it after stop(), or when the executor no longer runs.
  ~ChosenPath();
  ChosenPath(const ChosenPath&) = delete;
  ChosenPath& operator=(const ChosenPath&) = delete;

  // As of LivePath.
  Result<void> start(const RunOptions& options);
  Result<void> follow(const RunOptions& options);
  /// As of LivePath; in hash mode, also looks the collectors up.
  void dial_soon();
  boost::asio::awaitable<void> stop();
  CaptureLoop& loop() { return path_->loop(); }
  const CaptureLoop& loop() const { return path_->loop(); }
  bool ready() const { return path_->ready(); }
  bool forwarding() const { return path_->forwarding(); }
  /// In hash mode that of the collector, and while the path moves that of the next one; before any
  /// address is known, one for each name.
  std::vector<registry::SensorReport> sensors() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
  std::unique_ptr<LivePath> path_;
};

}  // namespace sidetap
