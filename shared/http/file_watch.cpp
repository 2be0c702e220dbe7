#include "shared/http/file_watch.h"

#include <array>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/inotify.h>

#include "shared/telemetry/log.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kEvents =
    IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_ONLYDIR;

}  // namespace

struct FileWatch::Impl {
  Impl(asio::any_io_executor executor, std::vector<std::string> files, std::function<void()> call,
       FileWatchTiming given)
      : changed(std::move(call)), timing(given), inotify(executor), timer(executor) {
    for (const std::string& file : files) {
      auto folder = std::filesystem::path(file).parent_path();
      folders.insert(folder.empty() ? "." : folder.string());
    }
  }

  std::set<std::string> folders;
  std::function<void()> changed;
  FileWatchTiming timing;
  asio::posix::stream_descriptor inotify;
  asio::steady_timer timer;
  bool dirty = false;
  bool stopped = false;

  void open() {
    const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
      telemetry::warn("files are looked at from time to time only: no inotify",
                      {{"reason", std::generic_category().message(errno)}});
      return;
    }
    inotify.assign(fd);
    watch_folders();
  }

  /// A folder that was removed and made anew needs a new watch; one that is watched keeps its own.
  void watch_folders() {
    if (!inotify.is_open()) return;
    for (const std::string& folder : folders) {
      ::inotify_add_watch(inotify.native_handle(), folder.c_str(), kEvents);
    }
  }

  asio::awaitable<void> listen([[maybe_unused]] std::shared_ptr<Impl> self) {
    std::array<char, 4096> events{};
    while (!stopped) {
      auto [error, got] = co_await inotify.async_read_some(asio::buffer(events), kTuple);
      if (error || stopped) break;
      if (!std::exchange(dirty, true)) timer.cancel();
    }
  }

  asio::awaitable<void> tell([[maybe_unused]] std::shared_ptr<Impl> self) {
    while (!stopped) {
      timer.expires_after(dirty ? timing.settle : timing.period);
      auto [cancelled] = co_await timer.async_wait(kTuple);
      if (stopped) break;
      if (cancelled) continue;  // Something changed: let it settle.
      dirty = false;
      watch_folders();
      try {
        changed();
      } catch (const std::exception& fault) {
        // Nobody would follow the files any more, and nothing would show it.
        telemetry::error("what has changed cannot be taken over; it is looked at again",
                         {{"reason", fault.what()}});
      }
    }
  }
};

FileWatch::FileWatch(asio::any_io_executor executor, std::vector<std::string> files,
                     std::function<void()> changed, FileWatchTiming timing)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(files), std::move(changed),
                                   timing)) {}

FileWatch::~FileWatch() { stop(); }

void FileWatch::start() {
  impl_->open();
  const auto executor = impl_->timer.get_executor();
  if (impl_->inotify.is_open()) {
    asio::co_spawn(executor, impl_->listen(impl_), asio::detached);
  }
  asio::co_spawn(executor, impl_->tell(impl_), asio::detached);
}

void FileWatch::stop() {
  if (std::exchange(impl_->stopped, true)) return;
  boost::system::error_code ignored;
  impl_->inotify.close(ignored);
  impl_->timer.cancel();
}

}  // namespace sidetap::http
