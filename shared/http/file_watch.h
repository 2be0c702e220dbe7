// Reports when files may have changed, by watching the folders that hold them.
//
// Kubernetes updates a mounted Secret or ConfigMap by replacing one symbolic link in its folder; an
// inotify watch on the file itself never notices that.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::http {

struct FileWatchTiming {
  std::chrono::milliseconds settle{100};  ///< From the first change of a burst to the call.
  std::chrono::milliseconds period{30'000};
};

/// Calls `changed` on the executor: shortly after a change in a file's folder, and also every
/// `period`, for file systems without notifications. The call may come when nothing has changed, or
/// between two writes that belong together: compare the contents, and reject incomplete ones. An
/// exception from `changed` is logged, and the watch continues. The executor's context must outlive
/// the watch.
class FileWatch {
 public:
  /// The executor must be a strand, or run by one thread. Failures are counted in `metrics`, as in
  /// async::TaskGroup; it may be null, and must otherwise outlive the executor's context.
  FileWatch(boost::asio::any_io_executor executor, std::vector<std::string> files,
            std::function<void()> changed, FileWatchTiming timing = {},
            telemetry::MetricsRegistry* metrics = nullptr);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Call it on the executor's thread, or before the executor runs.
  void start();
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::http
