#include "sidecar/delivery/file_delivery.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <unistd.h>

#include "shared/async/answer.h"
#include "shared/telemetry/log.h"
#include "sidecar/forwarding/file_output.h"

namespace sidetap {

namespace asio = boost::asio;

/// Callbacks from the packet path keep it alive.
struct FileDelivery::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::any_io_executor the_executor, FileOptions the_options, FileLabels the_labels,
       CaptureLoop& the_loop, std::uint64_t the_stage)
      : executor(std::move(the_executor)),
        options(std::move(the_options)),
        labels(std::move(the_labels)),
        loop(the_loop),
        stage(the_stage) {}

  void begin() {
    files = loop.start_output(
        forwarding::make_file_output(
            {.folder = options.folder,
             .prefix = labels.prefix,
             .file_bytes = options.file_bytes,
             .files = options.files,
             .file_age = std::chrono::milliseconds(options.file_age_ms),
             .heading = {.format = options.format,
                         .link_type = static_cast<std::uint16_t>(loop.link_type()),
                         .interfaces = {labels.label},
                         .names = labels.names},
             .identities = labels.identities},
            [weak = weak_from_this(), on = executor](const std::string& reason) {
              tell(weak, on, reason);
            },
            [weak = weak_from_this(), on = executor] { tell(weak, on, {}); }),
        "pcap", stage, [weak = weak_from_this()] {
          const auto self = weak.lock();
          if (!self) return;
          self->begun = true;
          telemetry::info("writing capture files",
                          {{"folder", self->options.folder}, {"prefix", self->labels.prefix}});
          self->changed();
        });
  }

  /// Called on the packet path. An empty reason means that the files are writable again.
  static void tell(std::weak_ptr<Impl> weak, const asio::any_io_executor& executor,
                   std::string reason) {
    asio::post(executor, [weak = std::move(weak), reason = std::move(reason)] {
      if (const auto self = weak.lock()) self->hear(reason);
    });
  }

  void hear(const std::string& reason) {
    fail = !reason.empty();
    if (fail) {
      telemetry::warn("capture files cannot be written; packets are dropped", {{"reason", reason}});
    } else {
      telemetry::info("capture files can be written again");
    }
    changed();
  }

  void changed() {
    if (on_changed) on_changed();
  }

  const asio::any_io_executor executor;
  const FileOptions options;
  const FileLabels labels;
  CaptureLoop& loop;
  const std::uint64_t stage;
  std::function<void()> on_changed;
  std::optional<std::uint64_t> files;
  bool begun = false;
  bool fail = false;
};

FileDelivery::FileDelivery(asio::any_io_executor executor, FileOptions options, FileLabels labels,
                           CaptureLoop& loop, std::uint64_t stage)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(labels), loop,
                                   stage)) {}
FileDelivery::~FileDelivery() = default;

Result<void> FileDelivery::start() {
  const std::string& folder = impl_->options.folder;
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    return Error{"--pcap-dir " + folder + ": " + std::strerror(errno)};
  impl_->begin();
  return {};
}

asio::awaitable<void> FileDelivery::stop() {
  const auto impl = impl_;
  if (!impl->files) co_return;
  const async::Arrival stopped(impl->executor);
  impl->loop.stop(*std::exchange(impl->files, std::nullopt), stopped.callback());
  co_await stopped.wait();
}

bool FileDelivery::forwarding() const { return impl_->begun && !impl_->fail; }
bool FileDelivery::healthy() const { return !impl_->fail; }

void FileDelivery::on_forwarding_changed(std::function<void()> callback) {
  impl_->on_changed = std::move(callback);
}

}  // namespace sidetap
