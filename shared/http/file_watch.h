// Tells when files may have changed, through the folders that hold them.
//
// Kubernetes changes a mounted Secret or ConfigMap by turning one symbolic link in its folder; an
// inotify watch on the file itself would never hear of it.
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

/// `changed` is called on the executor: shortly after something changed in a file's folder, and
/// every `period` besides, for file systems that tell nothing. It may be called when nothing has
/// changed, and between two writes that belong together: compare, and keep what is bad out. What it
/// throws is logged, and following goes on. The executor's context outlives the watch.
class FileWatch {
 public:
  /// One thread at a time runs the executor (or it is a strand).
  /// `metrics` may be null, else it outlives the executor's context: what fails is counted there,
  /// as in async::TaskGroup.
  FileWatch(boost::asio::any_io_executor executor, std::vector<std::string> files,
            std::function<void()> changed, FileWatchTiming timing = {},
            telemetry::MetricsRegistry* metrics = nullptr);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// On the executor's thread, or before it runs.
  void start();
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::http
