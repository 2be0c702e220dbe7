#include "shared/http/file_watch.h"

#include <array>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <sys/inotify.h>

#include "shared/async/task_group.h"
#include "shared/async/tuple.h"
#include "shared/async/waiting.h"
#include "shared/telemetry/log.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
constexpr std::uint32_t kEvents =
    IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_ONLYDIR;

}  // namespace

struct FileWatch::Impl {
  Impl(asio::any_io_executor executor, std::vector<std::string> files, std::function<void()> call,
       FileWatchTiming given, telemetry::MetricsRegistry* metrics)
      : changed(std::move(call)), timing(given), inotify(executor), tasks(executor, metrics) {
    for (const std::string& file : files) {
      auto folder = std::filesystem::path(file).parent_path();
      folders.insert(folder.empty() ? "." : folder.string());
    }
  }

  std::set<std::string> folders;
  std::function<void()> changed;
  FileWatchTiming timing;
  asio::posix::stream_descriptor inotify;
  async::TaskGroup tasks;
  async::Interruption news;
  bool dirty = false;
  bool stopped = false;

  void open() {
    const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
      telemetry::warn("files are checked at intervals only, because inotify is not available",
                      {{"reason", std::generic_category().message(errno)}});
      return;
    }
    inotify.assign(fd);
    watch_folders();
  }

  /// A folder that was removed and created again needs a new watch. A watched folder keeps its
  /// watch.
  void watch_folders() {
    if (!inotify.is_open()) return;
    for (const std::string& folder : folders) {
      ::inotify_add_watch(inotify.native_handle(), folder.c_str(), kEvents);
    }
  }

  asio::awaitable<void> listen() {
    std::array<char, 4096> events{};
    while (!stopped) {
      auto [error, got] = co_await inotify.async_read_some(asio::buffer(events), async::kTuple);
      if (error || stopped) break;
      if (!std::exchange(dirty, true)) news.request();
    }
  }

  asio::awaitable<void> tell() {
    while (!stopped) {
      news.clear();
      const auto pause = dirty ? timing.settle : timing.period;
      const auto waited = co_await async::sleep(inotify.get_executor(), pause, &news);
      if (stopped) break;
      if (waited == async::Wait::kInterrupted) continue;  // something changed: let it settle
      dirty = false;
      watch_folders();
      try {
        changed();
      } catch (...) {
        // The files are checked again after the period.
        tasks.failed("file-watch", std::current_exception());
      }
    }
  }
};

FileWatch::FileWatch(asio::any_io_executor executor, std::vector<std::string> files,
                     std::function<void()> changed, FileWatchTiming timing,
                     telemetry::MetricsRegistry* metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(files), std::move(changed),
                                   timing, metrics)) {}

FileWatch::~FileWatch() { stop(); }

void FileWatch::start() {
  impl_->open();
  const async::TaskGroup::Ended keep = [alive = impl_](const Result<void>&) {};
  if (impl_->inotify.is_open()) {
    impl_->tasks.supervise(
        "file-watch", [impl = impl_.get()] { return impl->listen(); }, keep);
  }
  impl_->tasks.supervise(
      "file-watch", [impl = impl_.get()] { return impl->tell(); }, keep);
}

void FileWatch::stop() {
  if (std::exchange(impl_->stopped, true)) return;
  boost::system::error_code ignored;
  impl_->inotify.close(ignored);
  impl_->news.request();
}

}  // namespace sidetap::http
